import { join } from 'node:path'
import type { NativeBuildContext } from 'unplugin'
import { runtimePackage, runtimeUrl, slimRuntime } from '../emit/runtime-package.ts'
import { ownFolder } from '../files/find-package.ts'
import type { Side } from '../options/build-target.ts'
import { modelFilterOf } from '../options/query.ts'
import { appOptions } from '../options/resolve.ts'
import type { ResolvedOptions } from '../options/schema.ts'
import type { Options } from '../options/types.ts'
import type { Logger } from '../project/logger.ts'
import type { Project } from '../project/project.ts'
import type { NativeContext, RuntimeImport } from './adapter.ts'

/** The runtime of pages as a file, which is bundled: a model of another package cannot see the app's dependencies. */
export const webRuntimeFile: string = join(ownFolder, 'dist', 'runtime', 'web', 'index.js')

/** The runtime of a side, for bundlers without hooks of their own for it. */
export function runtimeOf({ options: { root } }: Project, side: Side, isBundled = true): RuntimeImport {
  return side === 'browser' ? { id: webRuntimeFile, external: false } : externalRuntime(root, isBundled)
}

/**
 * The runtime as an external module. Its worker and addon are files next to it, which a bundled copy would not find. A
 * model of another package cannot see the app's dependencies when nothing is bundled: then `isBundled` is false, and
 * the runtime gets a full URL.
 */
export function externalRuntime(root: string, isBundled = true): RuntimeImport {
  const found = runtimePackage(root)
  return { id: isBundled ? found.entry : runtimeUrl(found), external: true }
}

/** The imports of the runtime of the app's side, in an app and in a generated module. */
export const runtimes: readonly string[] = ['unplugin-onnx/runtime', slimRuntime]

/** The imports of the runtime, also those of the one for pages. */
export const runtimeImports: RegExp = /^(?:unplugin-onnx\/(?:runtime|web)|@unplugin-onnx\/runtime(?:\/web)?)$/

/** Which modules are the plugin's. Also valid as regular expressions of Go and Rust. */
export interface ModuleFilters {
  /** Models. */
  readonly models: RegExp
  /** The imports that the plugin resolves: models and the runtime. */
  readonly imports: RegExp
}

/** The filters of an app, which depend on its option `convert` as it is when the plugin is made. */
export function moduleFilters({ convert }: Pick<ResolvedOptions, 'convert'>): ModuleFilters {
  const models = modelFilterOf(convert)
  return { models, imports: new RegExp(`${models.source}|${runtimeImports.source}`) }
}

/** The same for a plugin that has no project. Throws OPTION_INVALID. */
export function userFilters(user: Options | undefined): ModuleFilters {
  return moduleFilters(appOptions(user).options)
}

/** The bundler's own objects, which unplugin's context hides. Only for bundlers that unplugin translates for. */
export function nativeContext<Name extends NativeBuildContext['framework']>(context: object): NativeContext<Name> {
  return (context as { getNativeBuildContext(): NativeContext<Name> }).getNativeBuildContext()
}

/** The log of a hook's context, as far as it has one. `isQuiet` suppresses lines that are no warnings. */
export function contextLogger(context: object, isQuiet = false): Logger {
  const { info, warn } = context as { info?(line: string): void; warn?(line: string): void }
  return {
    log(line) {
      if (info) info.call(context, line)
      else if (!isQuiet) console.warn(line)
    },
    warn(line) {
      if (warn) warn.call(context, line)
      else console.warn(line)
    },
  }
}

/** The warning for an import whose model a bundler cannot know. */
export function unbundledImport(text: string): string {
  return `${text} is not bundled, because its model is known only at run time. Import each model by its full name.`
}

import type { NativeBuildContext } from 'unplugin'
import type { Logger } from '../project/project.ts'
import type { NativeContext, RuntimeImport } from './adapter.ts'

export const runtime = 'unplugin-onnx/runtime'

/**
 * The runtime as an external module. Its worker and addon are files next to it, which a bundled copy would not find. A
 * model of another package cannot see the app's dependencies when nothing is bundled: then `isBundled` is false, and
 * the runtime gets a full URL.
 */
export function externalRuntime(isBundled = true): RuntimeImport {
  return { id: isBundled ? runtime : import.meta.resolve(runtime), external: true }
}

/** The imports that the plugin resolves: models and the runtime. Also valid as a regular expression of Go and Rust. */
export const importFilter: RegExp = /\.onnx(?:\?|$)|^unplugin-onnx\/runtime$/

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

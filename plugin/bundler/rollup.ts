import { rollupAssets } from '../emit/rollup.ts'
import type { Project } from '../project/project.ts'
import type { BundlerAdapter, Resolve } from './adapter.ts'
import { contextLogger, externalRuntime } from './context.ts'
import { warnOfTemplates } from './template-imports.ts'

/** Rollup and Rolldown. Their hooks run with their own context, and unplugin adds nothing to it. */
export function rollupAdapter(project: Project): BundlerAdapter {
  const assets = rollupAssets(() => project.options.assetsDir, project.writesTo)
  const hooks = { ...assets.hooks, transform: warnOfTemplates }
  return {
    engineCode: (_, asset) => assets.engine(asset),
    resolver: rollupResolver,
    resolveRuntime: () => externalRuntime(),
    logger: contextLogger,
    // Their builds have a target only when the output has a format: emit/rollup.ts refuses formats of browsers.
    refusal: () => undefined,
    hooks: { rollup: hooks, rolldown: hooks },
  }
}

/** The part of the plugin context that Rollup, Rolldown and Vite share. */
interface RollupContext {
  resolve(
    id: string,
    importer: string | undefined,
    options: { readonly skipSelf: true },
  ): Promise<{ readonly id: string; readonly external?: unknown } | null>
}

export function rollupResolver(context: object, importer: string | undefined): Resolve {
  return async (specifier) => {
    const resolved = await (context as RollupContext).resolve(specifier, importer, { skipSelf: true })
    return resolved && !resolved.external ? resolved.id : undefined
  }
}

import { type RollupAssets, rollupAssets } from '../emit/rollup.ts'
import type { Side } from '../options/build-target.ts'
import type { Project } from '../project/project.ts'
import type { BundlerAdapter, Resolve } from './adapter.ts'
import { contextLogger, runtimeOf } from './context.ts'
import { checkExternals, quotedNames } from './external-packages.ts'
import { sideOfBuild } from './target.ts'
import { warnOfTemplates } from './template-imports.ts'

/** Rollup and Rolldown. Their hooks run with their own context, and unplugin adds nothing to it. */
export function rollupAdapter(project: Project): BundlerAdapter {
  let rolldownPlatform: unknown
  const side = (): Side => (rolldownPlatform === 'browser' ? 'browser' : 'node')
  const sideOf = () => sideOfBuild(project, adapter, {})
  const assets = rollupAssets(() => project.options.assetsDir, project.writesTo, sideOf)
  const hooks = { ...checkedHooks(assets, project, bundleInRollup), transform: warnOfTemplates }
  const adapter: BundlerAdapter = {
    engineCode: (_, asset) => assets.engine(asset),
    resolver: rollupResolver,
    resolveRuntime: (side) => runtimeOf(project, side),
    logger: contextLogger,
    // Their builds have a target only when the output has a format: emit/rollup.ts refuses formats of browsers.
    refusal: () => undefined,
    // Rolldown's default is 'browser' for every ES module, so only the user's own word counts.
    side,
    hooks: {
      rollup: hooks,
      rolldown: {
        ...hooks,
        options(input: { readonly platform?: unknown }) {
          rolldownPlatform = input.platform
          return null
        },
      },
    },
  }
  return adapter
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

/** The hooks that write engines, after a look at the packages that the output leaves external. */
export function checkedHooks(
  { hooks }: RollupAssets,
  project: Project,
  cure: (names: readonly string[]) => string,
): RollupAssets['hooks'] {
  const { order, handler: write } = hooks.generateBundle
  return {
    ...hooks,
    generateBundle: {
      order,
      async handler(options, bundle, isWrite) {
        const imports = Object.values(bundle).flatMap(({ imports = [], dynamicImports = [] }) => [
          ...imports,
          ...dynamicImports,
        ])
        const externals = imports.filter((id) => bundle[id] === undefined)
        await checkExternals(externals, { root: project.options.root, cure })
        await write.call(this, options, bundle, isWrite)
      },
    },
  }
}

function bundleInRollup(names: readonly string[]): string {
  return (
    `Leave ${quotedNames(names)} out of 'external'; Rollup itself finds packages only with the plugin ` +
    '@rollup/plugin-node-resolve'
  )
}

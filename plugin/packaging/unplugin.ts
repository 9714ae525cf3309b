import { join } from 'node:path'
import type { Plugin } from 'rolldown'

/** Where the loaders of unplugin are in the package, without extension, and in unplugin. */
const loaders: Readonly<Record<string, string>> = Object.fromEntries(
  ['webpack', 'rspack'].flatMap((bundler) =>
    ['load', 'transform'].map((name) => [
      `plugin/libraries/unplugin-${bundler}-${name}`,
      `${bundler}/loaders/${name}.mjs`,
    ]),
  ),
)

/** The loaders of unplugin as entries: webpack and Rspack open them by their path. */
export function unpluginLoaders(folder: string): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(loaders).map(([place, file]) => [place, join(folder, 'dist', file)]))
}

/**
 * Makes unplugin a part of a bundle: it finds its loaders next to itself, and requires a package when webpack starts.
 * Throws for a release of unplugin that does so in another way.
 */
export function bundledUnplugin(folder: string): Plugin {
  const main = join(folder, 'dist', 'index.mjs')
  return {
    name: 'bundled-unplugin',
    transform(code, id) {
      if (id !== main) return undefined
      let text = replaced(code, '__require("webpack-virtual-modules")', 'VirtualModules')
      for (const [place, file] of Object.entries(loaders))
        text = replaced(
          text,
          `resolve(import.meta.dirname, "${file}")`,
          `fileURLToPath(new URL('dist:${place}.mjs', import.meta.url))`,
        )
      return `import VirtualModules from 'webpack-virtual-modules'\n${text}`
    },
  }
}

function replaced(code: string, from: string, to: string): string {
  if (!code.includes(from))
    throw new Error(`unplugin has no '${from}' any more: plugin/packaging/unplugin.ts must follow`)
  return code.replace(from, to)
}

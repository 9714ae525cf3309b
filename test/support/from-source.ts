import { extname, relative, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Plugin } from 'vitest/config'
import manifest from '../../package.json' with { type: 'json' }

const root = fileURLToPath(new URL('../..', import.meta.url))
const sources = /^(?:plugin|runtime|native)\/.*\.[cm]?ts$/
// Not every `import.meta.url`: some stand in the text of modules that the plugin writes.
const ownUrl = /(new URL\('[^']*', |createRequire\()import\.meta\.url\)/g

/**
 * Makes tests run this package from its sources, by its name as well, so that no edit needs a build. Node.js 20 cannot
 * run TypeScript, therefore child processes and workers still start from `dist`: what a source file resolves relative
 * to its own URL is what the built file would get.
 */
export function fromSource(): Plugin {
  return {
    name: 'from-source',
    enforce: 'pre',
    config: () => ({ resolve: { alias: entryPoints() } }),
    transform(code, id) {
      const file = relative(root, id).replaceAll(sep, '/')
      if (!sources.test(file)) return undefined
      const extension = extname(file).replace('ts', 'js')
      const built = pathToFileURL(`${root}dist/${file.slice(0, -extension.length)}${extension}`)
      return {
        code: code.replaceAll(ownUrl, (_, before: string) => `${before}${JSON.stringify(built.href)})`),
        map: null,
      }
    },
  }
}

/** The entry points of package.json, each with its source file. */
function entryPoints(): { find: RegExp; replacement: string }[] {
  const files = Object.entries(manifest.exports).map(
    ([name, file]) => [name, typeof file === 'string' ? file : file.default] as const,
  )
  return files.flatMap(([name, file]) =>
    file.startsWith('./dist/')
      ? [
          {
            find: new RegExp(`^unplugin-onnx${name.slice(1)}$`),
            replacement: file.replace('./dist/', root).replace(/\.js$/, '.ts'),
          },
        ]
      : [],
  )
}

import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { repository } from '../support/python.ts'

/**
 * The path of the program that runs cases, made of the TypeScript of this folder. What is built stays outside: it
 * imports compilers and libraries by their URL.
 */
export async function makeProgram(): Promise<string> {
  const outfile = path.join(repository, 'build', 'operators', 'main.mjs')
  await build({
    entryPoints: [fileURLToPath(new URL('main.ts', import.meta.url))],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    plugins: [
      {
        name: 'repository',
        setup({ onLoad, onResolve }) {
          onResolve({ filter: /\/dist\/(?:plugin|runtime)\// }, ({ path: id, resolveDir }) => {
            return { path: pathToFileURL(path.resolve(resolveDir, id)).href, external: true }
          })
          onLoad({ filter: /\/(?:test|plugin)\/.*\.ts$/ }, async ({ path: file }) => {
            const text = await readFile(file, 'utf8')
            const own = JSON.stringify(pathToFileURL(file).href)
            return { contents: text.replaceAll('import.meta.url', own), loader: 'ts' }
          })
        },
      },
    ],
  })
  return outfile
}

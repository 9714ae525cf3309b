import { readFile } from 'node:fs/promises'
import type { EngineAsset } from './asset.ts'
import { type EngineCode, locate } from './location.ts'

/** The part of a build that esbuild and Bun share. */
export interface FileLoaderBuild {
  onResolve(
    options: { readonly filter: RegExp },
    callback: (args: { readonly path: string }) => { readonly path: string; readonly namespace: string },
  ): void
  onLoad(
    options: { readonly filter: RegExp; readonly namespace: string },
    callback: (args: {
      readonly path: string
    }) => Promise<{ readonly contents: string | Uint8Array; readonly loader: 'js' | 'file' }>,
  ): void
}

export interface FileLoaderAssets {
  engine(asset: EngineAsset, index: number): EngineCode
  setup(build: FileLoaderBuild, output: { readonly format: string; readonly publicPath?: string }): void
}

/**
 * esbuild and Bun. Their own `file` loader knows the chunk that a file is used in, hashes its name, and lists it in the
 * metafile and among the output files that `write: false` gives. The path it gives is right only in the chunk of the
 * file: so each file has a module of its own that makes the URL, and that no chunk can part from it.
 */
export function fileLoaderAssets(): FileLoaderAssets {
  const [engines, files] = ['unplugin-onnx-engine', 'unplugin-onnx-file']
  const sources = new Map<string, string>()
  return {
    engine({ name, source }, index) {
      sources.set(name, source)
      return {
        prelude: `import engine${index} from ${JSON.stringify(`${engines}:${name}.js`)}`,
        location: `engine${index}`,
      }
    },
    setup(build, { format, publicPath = '' }) {
      build.onResolve({ filter: /^unplugin-onnx-(?:engine|file):/ }, ({ path }) => {
        const colon = path.indexOf(':')
        return { namespace: path.slice(0, colon), path: path.slice(colon + 1) }
      })
      build.onLoad({ filter: /^/, namespace: engines }, async ({ path }) => {
        // Bun tells modules apart by their paths alone, hence the '.js'. The loader writes `publicPath`, which is for
        // browsers, before the name.
        const file = publicPath === '' ? 'file' : `"./" + file.slice(${publicPath.replace(/\/?$/, '/').length})`
        const contents = `import file from ${JSON.stringify(`${files}:${path.slice(0, -'.js'.length)}`)}\nexport default /* @__PURE__ */ ${locate(format === 'esm' ? 'es' : format, file)}`
        return { contents, loader: 'js' }
      })
      build.onLoad({ filter: /^/, namespace: files }, async ({ path }) => ({
        contents: await readFile(sources.get(path) ?? path),
        loader: 'file',
      }))
    },
  }
}

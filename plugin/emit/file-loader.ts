import { readFile } from 'node:fs/promises'
import { basename, dirname, extname, resolve } from 'node:path'
import type { Side } from '../options/build-target.ts'
import type { EngineAsset } from './asset.ts'
import { type EngineCode, fromPage, locate } from './location.ts'

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
  setup(build: FileLoaderBuild, output: FileLoaderOutput): void
  /**
   * Copies the engines over the files that stand for them, with `standsIn`. `folder` is what the paths of the outputs
   * start from.
   */
  fill(outputs: FileLoaderOutputs, folder: string): Promise<void>
}

/** The outputs in a metafile of esbuild, whose sizes are those of the files in the end. */
export type FileLoaderOutputs = Readonly<
  Record<string, { bytes: number; readonly inputs: Readonly<Record<string, unknown>> }>
>

export interface FileLoaderOutput {
  readonly format: string
  readonly publicPath?: string
  /** Where the output runs. Default: Node.js. */
  readonly side?: Side
  /**
   * Whether a small file stands in for each engine until `fill`: esbuild takes files of plugins through a pipe, which
   * takes longer than all the rest of a build.
   */
  readonly standsIn?: boolean
}

/**
 * Engines in esbuild and Bun. Their own `file` loader knows the chunk that uses a file, hashes its name, and lists it
 * in the metafile and among the output files of `write: false`. Its path is right only in the chunk that contains the
 * loaded file, so each engine has a module of its own that makes the URL: the two always share a chunk.
 */
export function fileLoaderAssets(): FileLoaderAssets {
  const assets = new Map<string, EngineAsset>()
  return {
    engine(asset, index) {
      assets.set(asset.name, asset)
      return {
        prelude: `import engine${index} from ${JSON.stringify(`${engineNamespace}:${asset.name}.js`)}`,
        location: `engine${index}`,
      }
    },
    setup(build, output) {
      build.onResolve({ filter: /^unplugin-onnx-(?:engine|file):/ }, ({ path }) => {
        const colon = path.indexOf(':')
        return { namespace: path.slice(0, colon), path: path.slice(colon + 1) }
      })
      build.onLoad({ filter: /^/, namespace: engineNamespace }, async ({ path }) => {
        // Bun identifies modules only by their path, hence the '.js'.
        const engine = `${fileNamespace}:${path.slice(0, -'.js'.length)}`
        const contents = [
          `import file from ${JSON.stringify(engine)}`,
          `export default /* @__PURE__ */ ${locationIn(output)}`,
        ].join('\n')
        return { contents, loader: 'js' }
      })
      build.onLoad({ filter: /^/, namespace: fileNamespace }, async ({ path }) => {
        const asset = assets.get(path)
        if (asset && output.standsIn) return { contents: `${asset.name} ${asset.sha256}\n`, loader: 'file' }
        const { readEngine } = await import('./copy-engine.ts')
        return { contents: await (asset ? readEngine(asset) : readFile(path)), loader: 'file' }
      })
    },
    async fill(outputs, folder) {
      const { copyEngine } = await import('./copy-engine.ts')
      const found = Object.entries(outputs).flatMap(([file, output]) => {
        const [input = '', ...others] = Object.keys(output.inputs)
        const asset = assets.get(input.slice(fileNamespace.length + 1))
        // The chunk that uses an engine has it among its inputs as well.
        const isEngine = others.length === 0 && extname(file) === extname(asset?.name ?? '')
        return asset && isEngine ? [{ asset, output, target: resolve(folder, file) }] : []
      })
      await Promise.all(found.map(({ asset, target }) => copyEngine(asset, dirname(target), basename(target))))
      for (const { asset, output } of found) output.bytes = asset.size
    },
  }
}

const engineNamespace = 'unplugin-onnx-engine'
const fileNamespace = 'unplugin-onnx-file'

function locationIn({ format, publicPath = '', side = 'node' }: FileLoaderOutput): string {
  if (side === 'browser' && publicPath !== '') return fromPage('file')
  return locate(format === 'esm' ? 'es' : format, pathInChunk(publicPath), side)
}

// The loader writes `publicPath`, which is for browsers, before the name.
function pathInChunk(publicPath: string): string {
  return publicPath === '' ? 'file' : `"./" + file.slice(${publicPath.replace(/\/?$/, '/').length})`
}

import { createHash } from 'node:crypto'
import { posix, resolve, dirname, join } from 'node:path'
import type { MagicString } from 'magic-string'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Side } from '../options/build-target.ts'
import { copyEngine, type EngineAsset, readEngine } from './asset.ts'
import { locate, relativeUrl, type EngineCode } from './location.ts'

/**
 * Engines in Rollup, Rolldown and builds of Vite. A module cannot know its chunk, and Vite removes assets of server
 * builds and rewrites URLs that it recognises. So a module contains a placeholder; `renderChunk` replaces it with the
 * location relative to the chunk, and after every other plugin the engines that chunks use are written into the folder
 * `folderOf()` of the output. `onOutput` receives the path of each output folder, undefined for an output in memory.
 */
export function rollupAssets(
  folderOf: () => string,
  onOutput: (output: string | undefined) => void,
  sideOf: (context: object) => Side = () => 'node',
): RollupAssets {
  // Kept between builds: a watcher loads only the modules that changed.
  const assets = new Map<string, EngineAsset>()
  return {
    engine(asset) {
      assets.set(asset.name, asset)
      return { location: JSON.stringify(`__ONNX_ENGINE_${asset.sha256}_${asset.name}__`) }
    },
    hooks: {
      renderChunk: {
        filter: { code: /__ONNX_ENGINE_/ },
        async handler(code, chunk, { format, sourcemap }) {
          if (!code.includes('__ONNX_ENGINE_')) return null
          const folder = folderOf()
          const side = sideOf(this)
          const locationOf = (text: string, _quote: string, sha256: string, name: string): string => {
            // A model may have an input of such a name, but none with the hash of its own engine.
            if (assets.get(name)?.sha256 !== sha256) return text
            const path = posix.relative(posix.dirname(chunk.fileName), posix.join(folder, name))
            return locate(format, JSON.stringify(format === 'cjs' ? path : relativeUrl(path)), side)
          }
          if (!sourcemap) return { code: code.replace(placeholder, locationOf), map: null }
          const { MagicString } = await import('magic-string')
          const edited = new MagicString(code).replace(placeholder, locationOf)
          return { code: edited.toString(), map: edited.generateMap({ hires: 'boundary' }) }
        },
      },
      generateBundle: {
        order: 'post',
        async handler({ dir, file }, bundle, isWrite) {
          if (assets.size === 0) return
          const folder = folderOf()
          const chunks = Object.values(bundle).map((output) => output.code ?? '')
          const output = resolve(dir ?? dirname(file ?? ''))
          // An output for pages runs alone as it is.
          if (sideOf(this) === 'node') onOutput(isWrite ? output : undefined)
          const used = [...assets.values()].filter(({ name }) => chunks.some((code) => code.includes(name)))
          const fileNames = used.map(({ name }) => posix.join(folder, name))
          const taken = used.find(({ sha256 }, index) => isOther(bundle[fileNames[index] ?? ''], sha256))
          if (taken !== undefined) throw nameTaken(posix.join(folder, taken.name))
          // A copy needs no memory, whatever the size of the engine; Rolldown would hold two copies of an emitted file.
          if (isWrite) await Promise.all(used.map((asset) => copyEngine(asset, join(output, folder))))
          else
            for (const asset of used) {
              const source = await readEngine(asset)
              this.emitFile({ type: 'asset', fileName: posix.join(folder, asset.name), source })
            }
        },
      },
    },
  }
}

export interface RollupAssets {
  engine(asset: EngineAsset): EngineCode
  readonly hooks: {
    readonly renderChunk: {
      readonly filter: { readonly code: RegExp }
      handler(
        this: object,
        code: string,
        chunk: { readonly fileName: string },
        options: { readonly format: string; readonly sourcemap?: unknown },
      ): Promise<RenderedChunk | null>
    }
    readonly generateBundle: {
      readonly order: 'post'
      handler(this: RollupContext, options: RollupOutput, bundle: RollupBundle, isWrite: boolean): Promise<void>
    }
  }
}

export interface RenderedChunk {
  readonly code: string
  readonly map: ReturnType<MagicString['generateMap']> | null
}

export interface RollupOutput {
  readonly dir?: string
  readonly file?: string
}

export type RollupBundle = Readonly<Record<string, RollupFile>>

export interface RollupFile {
  readonly type: string
  readonly code?: string
  readonly source?: string | Uint8Array
  readonly imports?: readonly string[]
  readonly dynamicImports?: readonly string[]
}

/** The part of the plugin context that Rollup, Rolldown and Vite share. */
export interface RollupContext {
  emitFile(asset: { readonly type: 'asset'; readonly fileName: string; readonly source: Uint8Array }): unknown
}

// Vite's builds of workers, which are builds of their own, may have brought the same engine.
function isOther(file: RollupFile | undefined, sha256: string): boolean {
  if (file === undefined) return false
  return (
    createHash('sha256')
      .update(file.source ?? '')
      .digest('hex') !== sha256
  )
}

function nameTaken(file: string): OnnxEngineError {
  return new OnnxEngineError('OUTPUT_FAILED', `output file '${file}'`, {
    expected: 'a name that nothing else in the output has',
    received: 'an asset of another plugin with the name of an engine',
    hint: `Choose another folder for engines with the option 'assetsDir'`,
  })
}

// Minifiers change the quotes.
const placeholder = /(["'`])__ONNX_ENGINE_(?<sha256>[0-9a-f]{64})_(?<name>[\w.-]+?)__\1/g

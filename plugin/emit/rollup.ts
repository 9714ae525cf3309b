import { posix, resolve, dirname, join } from 'node:path'
import type { MagicString } from 'magic-string'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Side } from '../options/build-target.ts'
import type { EngineAsset } from './asset.ts'
import { locate, relativeUrl, type EngineCode } from './location.ts'

/**
 * Engines in Rollup, Rolldown and builds of Vite. A module cannot know its chunk, and Vite removes assets of server
 * builds and rewrites URLs that it recognises. So a module contains a placeholder; `renderChunk` replaces it with the
 * location relative to the chunk, and after every other plugin the engines that chunks use are written into the folder
 * `folderOf()` of the output. `onOutput` receives the path of each output folder, undefined for an output in memory.
 * `isBundledAgain`: another bundler moves the chunks of this output, so that each engine is next to its chunk.
 */
export function rollupAssets(
  folderOf: () => string,
  onOutput: (output: string | undefined) => void,
  sideOf: (context: object) => Side = () => 'node',
  isBundledAgain: (context: object) => boolean = () => false,
): RollupAssets {
  // Kept between builds: a watcher loads only the modules that changed.
  const assets = new Map<string, EngineAsset>()
  let isUsed = false
  return {
    engine(asset) {
      assets.set(asset.name, asset)
      return { location: JSON.stringify(`__ONNX_ENGINE_${asset.sha256}_${asset.name}__`) }
    },
    isUsed: () => isUsed,
    async follow(root, since) {
      const { followEngines } = await import('./follow.ts')
      return followEngines(assets, { root, folder: folderOf(), since })
    },
    hooks: {
      renderChunk: {
        // After every other plugin: Nitro replaces `import.meta` in chunks, and others may too.
        order: 'post',
        filter: { code: /__ONNX_ENGINE_/ },
        async handler(code, chunk, { format, sourcemap }) {
          if (!code.includes('__ONNX_ENGINE_')) return null
          const folder = folderOf()
          const side = sideOf(this)
          const from = isBundledAgain(this) ? '.' : posix.dirname(chunk.fileName)
          const locationOf = (text: string, _quote: string, sha256: string, name: string): string => {
            // A model may have an input of such a name, but none with the hash of its own engine.
            if (assets.get(name)?.sha256 !== sha256) return text
            const path = posix.relative(from, posix.join(folder, name))
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
          const output = resolve(dir ?? dirname(file ?? ''))
          // An output for pages runs alone as it is.
          if (sideOf(this) === 'node') onOutput(isWrite ? output : undefined)
          const used = usedEngines([...assets.values()], bundle, (chunk) =>
            posix.join(isBundledAgain(this) ? posix.dirname(chunk) : '.', folder),
          )
          isUsed ||= used.length > 0
          await writeEngines(this, used, bundle, isWrite ? output : undefined)
        },
      },
    },
  }
}

interface UsedEngine {
  /** The folder, in the output. */
  readonly at: string
  readonly asset: EngineAsset
}

/** Copies engines into the folder of an output, or gives them to an output in memory. */
async function writeEngines(
  context: RollupContext,
  used: readonly UsedEngine[],
  bundle: RollupBundle,
  output: string | undefined,
): Promise<void> {
  const { copyEngine, hasBytes, readEngine } = await import('./copy-engine.ts')
  for (const { at, asset } of used) {
    const fileName = posix.join(at, asset.name)
    const file = bundle[fileName]
    // Vite's builds of workers, which are builds of their own, may have brought the same engine.
    if (file !== undefined && !hasBytes(asset, file.source ?? '')) throw nameTaken(fileName)
  }
  // A copy needs no memory, whatever the size of the engine; Rolldown would hold two copies of an emitted file.
  if (output !== undefined) await Promise.all(used.map(({ at, asset }) => copyEngine(asset, join(output, at))))
  else
    for (const { at, asset } of used)
      context.emitFile({ type: 'asset', fileName: posix.join(at, asset.name), source: await readEngine(asset) })
}

/** The engines that chunks use; `folderOf` gives the folder for those of a chunk. */
function usedEngines(
  assets: readonly EngineAsset[],
  bundle: RollupBundle,
  folderOf: (chunk: string) => string,
): readonly UsedEngine[] {
  const used = new Map<string, UsedEngine>()
  for (const [fileName, { code = '' }] of Object.entries(bundle)) {
    const at = folderOf(fileName)
    for (const asset of assets) if (code.includes(asset.name)) used.set(posix.join(at, asset.name), { at, asset })
  }
  return [...used.values()]
}

export interface RollupAssets {
  engine(asset: EngineAsset): EngineCode
  /** Whether an output so far has engines. */
  isUsed(): boolean
  /**
   * Copies engines next to the scripts below `root` that use them and are newer than `since`, in milliseconds: the
   * output of a bundler that bundles this output again. Returns the folders of those scripts.
   */
  follow(root: string, since: number): Promise<readonly string[]>
  readonly hooks: {
    readonly renderChunk: {
      readonly order: 'post'
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

function nameTaken(file: string): OnnxEngineError {
  return new OnnxEngineError('OUTPUT_FAILED', `output file '${file}'`, {
    expected: 'a name that nothing else in the output has',
    received: 'an asset of another plugin with the name of an engine',
    hint: `Choose another folder for engines with the option 'assetsDir'`,
  })
}

// Minifiers change the quotes.
const placeholder = /(["'`])__ONNX_ENGINE_(?<sha256>[0-9a-f]{64})_(?<name>[\w.-]+?)__\1/g

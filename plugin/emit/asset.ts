import { readFile } from 'node:fs/promises'
import { posix } from 'node:path'
import { pathToFileURL } from 'node:url'
import { MagicString } from 'magic-string'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Variant } from '../compile.ts'

/** An engine on its way into a bundle. */
export interface EngineAsset {
  /** Name in the output: the model, the backend and the hash of the engine's own bytes, all of it ASCII. */
  readonly name: string
  /** Absolute path of the bytes in the cache. */
  readonly source: string
}

/**
 * Our own content-hashed name, because bundlers hash differently, or not at all in library builds, and because a name must be known
 * when the module is made. Only characters that need no escape in a URL, in a path and in a regular expression's `\w`.
 */
export function engineAsset(model: string, { backend, extension, artifact }: Variant): EngineAsset {
  return { name: `${model.replace(/[^\w-]+/g, '_')}-${backend}-${artifact.sha256.slice(0, 10)}${extension}`, source: artifact.file }
}

/** Dev servers and test runners do not write a bundle: the engine is used where it lies in the cache. */
export function cachedLocation({ source }: EngineAsset): string {
  return JSON.stringify(pathToFileURL(source).href)
}

/**
 * Rollup, Rolldown and builds of Vite. A module cannot know which chunk it ends in, and Vite removes assets of server builds and
 * rewrites URLs that it knows: so a module carries a placeholder, `renderChunk` puts the location in its place, relative to the chunk,
 * and the engines that chunks really use are emitted after every other plugin, into `folder` of the output.
 */
export function rollupAssets(folder: string): RollupAssets {
  // Kept from build to build: a watcher loads only the modules that changed.
  const sources = new Map<string, string>()
  return {
    location({ name, source }) {
      sources.set(name, source)
      return JSON.stringify(`__ONNX_ENGINE_${name}__`)
    },
    renderChunk: {
      filter: { code: /__ONNX_ENGINE_/ },
      handler(code, chunk, { format, sourcemap }) {
        if (!code.includes('__ONNX_ENGINE_')) return null
        const expression = locations[format]
        if (expression === undefined) throw unsupported(format, chunk.fileName)
        const edited = new MagicString(code)
        for (const { 0: text, index, groups } of code.matchAll(placeholder)) {
          const path = posix.relative(posix.dirname(chunk.fileName), posix.join(folder, groups?.['name'] ?? ''))
          edited.overwrite(index, index + text.length, expression(path))
        }
        return { code: edited.toString(), map: sourcemap ? edited.generateMap({ hires: 'boundary' }) : null }
      },
    },
    generateBundle: {
      order: 'post',
      async handler(_, bundle) {
        if (sources.size === 0) return
        const chunks = Object.values(bundle).map((output) => output.code ?? '')
        for (const [name, source] of sources) {
          if (!chunks.some((code) => code.includes(name))) continue
          this.emitFile({ type: 'asset', fileName: posix.join(folder, name), source: await readFile(source) })
        }
      },
    },
  }
}

export interface RollupAssets {
  location(asset: EngineAsset): string
  readonly renderChunk: {
    readonly filter: { readonly code: RegExp }
    handler(code: string, chunk: { readonly fileName: string }, options: { readonly format: string; readonly sourcemap?: unknown }): RenderedChunk | null
  }
  readonly generateBundle: {
    readonly order: 'post'
    handler(this: AssetEmitter, options: unknown, bundle: Readonly<Record<string, { readonly type: string; readonly code?: string }>>): Promise<void>
  }
}

export interface RenderedChunk {
  readonly code: string
  readonly map: ReturnType<MagicString['generateMap']> | null
}

export interface AssetEmitter {
  emitFile(asset: { readonly type: 'asset'; readonly fileName: string; readonly source: Uint8Array }): unknown
}

// Minifiers change the quotes.
const placeholder = /(["'`])__ONNX_ENGINE_(?<name>[\w.-]+?)__\1/g

const locations: Readonly<Record<string, (path: string) => string>> = {
  es: (path) => `new URL(${JSON.stringify(relativeUrl(path))}, import.meta.url)`,
  cjs: (path) => `require("node:url").pathToFileURL(require("node:path").join(__dirname, ${JSON.stringify(path)}))`,
}

function relativeUrl(path: string): string {
  const url = path.split('/').map(encodeURIComponent).join('/')
  return url.startsWith('.') ? url : `./${url}`
}

function unsupported(format: string, chunk: string): OnnxEngineError {
  return new OnnxEngineError('UNSUPPORTED_TARGET', `output format of ${chunk}`, {
    expected: `'es' or 'cjs'`,
    received: `'${format}'`,
    hint: 'Models run in Node.js, which loads these two formats',
  })
}

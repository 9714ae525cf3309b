import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname } from 'node:path'
import type { EngineAsset } from '../emit/asset.ts'
import type { EngineCode } from '../emit/location.ts'
import type { ResolvedOptions } from '../options/schema.ts'

/** Engines and files of the library, as Vite's dev server gives them to pages: byte by byte, without a transform. */
export interface ServedFiles {
  /** The option `base` of Vite. */
  base: string
  engine(asset: EngineAsset): EngineCode
  respond(request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void): void
}

const folder = '@unplugin-onnx'

/** `web` is read at each request: the options may be read again before the first one. */
export function servedFiles(web: () => ResolvedOptions['web']): ServedFiles {
  const assets = new Map<string, EngineAsset>()
  return {
    base: '/',
    engine(asset) {
      assets.set(asset.name, asset)
      // Not a literal `new URL('./x', import.meta.url)`, which Vite would treat as one of its own assets.
      return {
        prelude: 'const base = import.meta.url',
        location: `new URL(${JSON.stringify(`${this.base}${folder}/${asset.name}`)}, base)`,
      }
    },
    respond(request, response, next) {
      const name = requestPath.exec(request.url ?? '')?.groups?.['name'] ?? ''
      const asset = assets.get(name)
      if (asset === undefined) return next()
      const send = async (): Promise<void> => {
        const { readEngine } = await import('../emit/copy-engine.ts')
        const bytes = await readEngine(asset)
        response.writeHead(200, {
          'Content-Type': contentTypes[extname(name)] ?? 'application/octet-stream',
          'Content-Length': bytes.length,
          'Cache-Control': 'no-cache',
          ...(web().isolate && isolationHeaders),
        })
        response.end(bytes)
      }
      send().catch(next)
    },
  }
}

const requestPath = new RegExp(`/${folder}/(?<name>[\\w.-]+)(?:\\?|$)`)

const contentTypes: Readonly<Record<string, string>> = {
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
}

// See https://web.dev/articles/cross-origin-isolation-guide.
const isolationHeaders = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
} as const

/** The part of Vite's configuration that isolates pages of its dev server and preview. */
export function isolation({ isolate }: ResolvedOptions['web']): object {
  return isolate ? { server: { headers: isolationHeaders }, preview: { headers: isolationHeaders } } : {}
}

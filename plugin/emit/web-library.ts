import { stat } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { findPackage, ownFolder, packageVersion } from '../files/find-package.ts'
import { hashFile } from '../files/hash.ts'
import type { ResolvedOptions } from '../options/schema.ts'
import type { EngineAsset } from './asset.ts'
import { type WebFile, webFiles } from './web-files.ts'

/** The files that run models in a page, by what they are for. They are emitted as engines are. */
export interface WebLibrary {
  readonly files: Readonly<Record<WebFile, EngineAsset>>
  /** What the page needs to know besides, as data. */
  readonly facts: Readonly<Record<string, string | number | boolean>>
}

const webPackage = 'onnxruntime-web'

/** The files of each flavour of onnxruntime-web: its code without WebAssembly in it, and the name of the other two. */
const flavours = {
  false: { library: 'ort.wasm.min.mjs', wasm: 'ort-wasm-simd-threaded' },
  jspi: { library: 'ort.jspi.min.mjs', wasm: 'ort-wasm-simd-threaded.jspi' },
  asyncify: { library: 'ort.webgpu.min.mjs', wasm: 'ort-wasm-simd-threaded.asyncify' },
} as const

/**
 * The library of a page: our worker, and exactly one flavour of onnxruntime-web. Its code, its loader and its
 * WebAssembly come from one package, so they always fit together. Throws BACKEND_UNAVAILABLE.
 */
export async function webLibrary({ root, web }: ResolvedOptions): Promise<WebLibrary> {
  const folder = findPackage(webPackage, root, ownFolder)
  if (folder === undefined)
    throw new OnnxEngineError('BACKEND_UNAVAILABLE', `${webPackage} is not installed`, {
      hint: `npm install ${webPackage}`,
    })
  const { library, wasm } = flavours[`${web.webgpu}`]
  const sources: Readonly<Record<WebFile, string>> = {
    worker: fileURLToPath(new URL('../../runtime/web/worker-main.js', import.meta.url)),
    library: join(folder, 'dist', library),
    loader: join(folder, 'dist', `${wasm}.mjs`),
    wasm: join(folder, 'dist', `${wasm}.wasm`),
  }
  const entries = await Promise.all(webFiles.map(async (name) => [name, await assetOf(sources[name])] as const))
  return {
    files: Object.fromEntries(entries) as Record<WebFile, EngineAsset>,
    facts: {
      version: packageVersion(folder),
      ...(web.webgpu && { webgpu: web.webgpu }),
      ...(web.threads !== undefined && { threads: web.threads }),
      ...(web.allowSoftware && { allowSoftware: true }),
    },
  }
}

// The hash is part of the name, so that a browser may keep the file for ever.
async function assetOf(source: string): Promise<EngineAsset> {
  const [{ size }, sha256] = await Promise.all([stat(source), hashFile(source)])
  const extension = extname(source)
  const name = `${basename(source, extension).replaceAll('.', '-')}-${sha256.slice(0, 10)}${extension}`
  return { name, source, size, sha256 }
}

import { access, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { makeFolder } from '../../runtime/make-folder.ts'
import type { CacheKey, Json } from '../cache/key.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import type { PassRequest, PrecisionPass } from '../precision/pass.ts'

/**
 * Where the option `keepOnnx` keeps the lowered graph of an engine; undefined when it is not set. The folder exists
 * then.
 */
export async function keptOnnx(request: PassRequest): Promise<string | undefined> {
  const base = await baseOf(request)
  return base && `${base}.onnx`
}

/** An engine whose graph is kept. */
export interface KeptEngine {
  readonly key: CacheKey
  readonly pass: PrecisionPass | undefined
  /** Whether this build compiled it, and so wrote its graph, instead of finding it in the cache. */
  readonly fresh: boolean
}

/**
 * Keeps the report of an engine next to its graph. The graph was written when the engine was compiled; after a hit it
 * is lowered again, but only when the folder does not have it.
 */
export async function keepReport(
  request: PassRequest,
  { pass, key, fresh }: KeptEngine,
  report: Readonly<Record<string, Json>>,
): Promise<void> {
  const base = await baseOf(request)
  if (base === undefined) return
  const graph = `${base}.onnx`
  if (pass && !fresh && !(await isKept(base, key))) {
    const { lowerModel } = await import('../precision/lower.ts')
    await using folder = await temporaryFolder()
    await lowerModel(pass, { ...request, log: () => {}, warn: () => {} }, { into: folder.path, keep: graph })
  }
  await writeFile(`${base}.json`, `${JSON.stringify({ key: key.digest, ...report }, null, 2)}\n`)
}

async function baseOf({ name, options, backend, label, root }: PassRequest): Promise<string | undefined> {
  const { keepOnnx, engine } = options
  if (keepOnnx === undefined) return undefined
  const folder = resolve(root, keepOnnx)
  await makeFolder(folder)
  return join(folder, [name, engine, backend, label].filter(Boolean).join('.'))
}

/** Whether the kept graph is that of this engine. */
async function isKept(base: string, key: CacheKey): Promise<boolean> {
  try {
    const report = JSON.parse(await readFile(`${base}.json`, 'utf8')) as { readonly key?: unknown }
    await access(`${base}.onnx`)
    return report.key === key.digest
  } catch {
    return false
  }
}

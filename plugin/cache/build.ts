import { stat } from 'node:fs/promises'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { hashFile } from '../files/hash.ts'
import type { Entry } from './entries.ts'
import type { CacheKey, Json } from './key.ts'

export interface StoreRequest {
  readonly key: CacheKey
  /**
   * Names the same import across all changes of its key: the model's path relative to the root, the query, the backend.
   */
  readonly importKey: string
  /** Display name for messages. */
  readonly label: string
  /** Aborts the waiting of this caller. The build itself is stopped by its own use of the signal. */
  readonly signal?: AbortSignal | undefined
}

/** Writes the engine to `outputFile`; what it returns is kept with the engine. */
export type Build = (outputFile: string) => Promise<Json | void>

/** Runs a build and describes its output. Throws COMPILE_FAILED when there is none. */
export async function buildEntry({ key, label }: StoreRequest, build: Build, output: string): Promise<Entry> {
  const started = performance.now()
  const metadata = JSON.parse(JSON.stringify((await build(output)) ?? null)) as Json
  const seconds = secondsSince(started)
  const { size } = await stat(output).catch(() => ({ size: 0 }))
  if (size === 0) {
    throw new OnnxEngineError('COMPILE_FAILED', label, {
      expected: 'an engine',
      received: 'none from the backend, which reported no error',
    })
  }
  const { digest, facts } = key
  return { digest, facts, sha256: await hashFile(output), size, created: Date.now(), seconds, metadata }
}

/** Seconds since a reading of `performance.now()`, to the millisecond. */
export function secondsSince(started: number): number {
  return Math.round(performance.now() - started) / 1000
}

import { OnnxEngineError } from '../../runtime/errors.ts'
import { sameStamp, type Stamp, stampOf } from '../files/stamp.ts'
import type { Digests, StatIndex } from './stat-index.ts'
import type { Store } from './store.ts'

/** A store that knows all files whose digests were asked through it, and keeps nothing that was built of others. */
export interface WatchedStore extends Store {
  /** The store that keeps the engines. */
  readonly watched: Store
  /** Whether all these files are still what they were when they were hashed. */
  unchanged(): Promise<boolean>
}

/**
 * Compilers, passes and measurements read a file after its digest has become part of a key. This store compares the
 * files again after each build: a build that may have read another file rejects with MODEL_INVALID, and the cache stays
 * as it was.
 */
export function watchSources(store: Store): WatchedStore {
  const seen = new Map<string, Seen>()
  const statIndex: StatIndex = {
    async remember(file, what, compute) {
      const stamp = await stampOf(file)
      const digests = await store.statIndex.remember(file, what, compute)
      const id = `${what} ${file}`
      if (!seen.has(id)) seen.set(id, { file, what, stamp, digests, compute })
      return digests
    },
  }
  const unchanged = async (): Promise<boolean> => {
    const same = await Promise.all(Array.from(seen.values(), (file) => isUnchanged(store.statIndex, file)))
    return !same.includes(false)
  }
  return {
    ...store,
    watched: store,
    statIndex,
    unchanged,
    getOrBuild(request, build) {
      return store.getOrBuild(request, async (output) => {
        const metadata = await build(output)
        if (!(await unchanged())) throw changedWhileRead(request.label)
        return metadata
      })
    },
  }
}

/** MODEL_INVALID for a model that another program keeps writing. */
export function changedWhileRead(where: string): OnnxEngineError {
  return new OnnxEngineError('MODEL_INVALID', where, {
    expected: 'a model, external data and samples that stay the same while they are compiled',
    received: 'files that changed meanwhile',
    hint: 'Build again when the program that writes them is done',
  })
}

interface Seen {
  readonly file: string
  readonly what: string
  readonly stamp: Stamp
  readonly digests: Digests
  readonly compute: () => Promise<Digests>
}

// The stat index hashes again what was written at about the time it was hashed, whose stamp proves nothing.
async function isUnchanged(index: StatIndex, { file, what, stamp, digests, compute }: Seen): Promise<boolean> {
  try {
    if (!sameStamp(stamp, await stampOf(file))) return false
    return JSON.stringify(await index.remember(file, what, compute)) === JSON.stringify(digests)
  } catch {
    return false
  }
}

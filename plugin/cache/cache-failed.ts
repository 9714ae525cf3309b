import { OnnxEngineError } from '../../runtime/errors.ts'
import { isUnusable } from '../files/unusable.ts'

/** Runs what a person asked for, which cannot degrade to a warning: a folder that cannot be used is CACHE_FAILED. */
export async function named<T>(root: string, use: () => Promise<T>): Promise<T> {
  try {
    return await use()
  } catch (error) {
    if (!isUnusable(error)) throw error
    throw new OnnxEngineError('CACHE_FAILED', `the cache folder ${root}`, {
      expected: 'a folder that can be read and written',
      received: (error as Error).message,
      hint: 'Make it writable, or choose another one with the option cache.dir',
      cause: error,
    })
  }
}

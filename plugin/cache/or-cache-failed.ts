import { OnnxEngineError } from '../../runtime/errors.ts'
import { isUnusable } from '../files/unusable.ts'

/** Runs an action that a person asked for, which no warning can replace: an unusable folder is CACHE_FAILED. */
export async function orCacheFailed<T>(root: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
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

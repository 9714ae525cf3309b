import { OnnxEngineError } from '../../runtime/errors.ts'
import { isUnusable } from '../files/unusable.ts'

/**
 * Runs an action that writes into an output folder. Rejects with OUTPUT_FAILED if the folder cannot be written, is no
 * folder, or its disk is full.
 *
 * @param what what is written, for the message
 */
export async function orOutputFailed<T>(folder: string, action: () => Promise<T>, what = 'the engines'): Promise<T> {
  try {
    return await action()
  } catch (error) {
    if (!isUnusable(error)) throw error
    throw new OnnxEngineError('OUTPUT_FAILED', `the output folder ${folder}`, {
      expected: `a folder that can be written, with space for ${what}`,
      received: (error as Error).message,
      hint: 'Make it writable, or choose another one',
      cause: error,
    })
  }
}

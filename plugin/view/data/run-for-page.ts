import { OnnxEngineError, recordError, reviveError } from '../../../runtime/errors.ts'
import type { Json } from '../../cache/key.ts'
import type { ChildJob } from '../../child/contract.ts'
import { countdown } from '../../child/countdown.ts'
import type { ChildOptions } from '../../child/run.ts'
import { runForJson } from '../../samples/run-for-json.ts'

/** Milliseconds that a task may take, loading included. */
const longestRun = 60_000

/**
 * Runs a model for a page and returns the JSON that the task writes. In a process of its own: the page survives a model
 * that crashes or does not end.
 *
 * @throws OnnxEngineError INFERENCE_FAILED for a crash or after `limit` milliseconds, and what the task throws
 */
export async function runForPage(
  worker: URL,
  job: Omit<ChildJob, 'output'>,
  options: Pick<ChildOptions, 'modelBytes' | 'what'>,
  limit = longestRun,
): Promise<Json> {
  const time = countdown(limit)
  try {
    return await runForJson(worker, job, { ...options, signal: time.signal, onStart: () => time.start() })
  } catch (cause) {
    throw time.signal.aborted ? tookTooLong(job.name, limit, cause) : runFailed(cause)
  } finally {
    time.stop()
  }
}

function tookTooLong(name: string, limit: number, cause: unknown): OnnxEngineError {
  return new OnnxEngineError('INFERENCE_FAILED', `${name}: the model was stopped`, {
    expected: `an inference within ${limit / 1000} s`,
    received: 'none',
    hint: 'Try smaller inputs, or look for a Loop that does not end',
    cause,
  })
}

// What the process itself reports, such as a crash, has the code of a compiler's.
function runFailed(cause: unknown): unknown {
  const record = recordError(cause, 'INFERENCE_FAILED')
  if (record.code !== 'COMPILE_FAILED') return cause
  return Object.assign(reviveError({ ...record, code: 'INFERENCE_FAILED' }), { cause })
}

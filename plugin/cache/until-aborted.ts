import { once, setMaxListeners } from 'node:events'
import { OnnxEngineError } from '../../runtime/errors.ts'

/** Rejects at once when the signal fires; the flight goes on for those who still wait. */
export async function untilAborted<T>(flight: Promise<T>, signal: AbortSignal | undefined, label: string): Promise<T> {
  if (!signal) return flight
  const settled = new AbortController()
  // All engines of a build wait on its one signal: Node warns of a leak from the eleventh on.
  setMaxListeners(0, signal)
  const stopped = once(signal, 'abort', { signal: settled.signal }).then(() => {
    throw aborted(label, signal)
  })
  stopped.catch(() => {})
  try {
    return await Promise.race([flight, stopped])
  } finally {
    settled.abort()
  }
}

/** COMPILE_ABORTED, with the signal's reason as its cause. */
export function aborted(label: string, signal: AbortSignal): OnnxEngineError {
  return new OnnxEngineError('COMPILE_ABORTED', `${label}: the compilation was cancelled`, { cause: signal.reason })
}

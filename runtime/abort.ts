import { OnnxEngineError, refuseUnreadable } from './errors.ts'

const callbacksOf = new WeakMap<AbortSignal, Set<() => void>>()

/**
 * Calls `callback` when the signal aborts, until the returned function is called. Adds one listener to each signal,
 * however many calls share it: Node.js warns of a leak from the eleventh on. Needs nothing from a signal but
 * `addEventListener`. Throws OPTION_INVALID when that fails, which it can only at the first call for a signal.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const callbacks = callbacksOf.get(signal) ?? listen(signal)
  callbacks.add(callback)
  return () => void callbacks.delete(callback)
}

/** The result of `start`, or a rejection with ABORTED as soon as the signal aborts. */
export function abortable<T>(signal: AbortSignal, subject: string, start: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    // Before the work starts: work that has begun must not be left alone because its signal is broken.
    const stopListening = onAbort(signal, () => reject(abortedError(subject, signal.reason)))
    start().then(resolve, reject).finally(stopListening)
  })
}

/** The ABORTED error of one call; `cause` is the signal's reason, or the library's own error. */
export function abortedError(subject: string, cause?: unknown): OnnxEngineError {
  return new OnnxEngineError('ABORTED', `${subject}: infer() was aborted by its signal`, { cause })
}

function listen(signal: AbortSignal): Set<() => void> {
  const callbacks = new Set<() => void>()
  const error = { code: 'OPTION_INVALID', subject: 'option of infer() "signal"', expected: 'an AbortSignal' } as const
  refuseUnreadable(error, () =>
    signal.addEventListener('abort', () => callbacks.forEach((callback) => callback()), { once: true }),
  )
  callbacksOf.set(signal, callbacks)
  return callbacks
}

import { OnnxEngineError } from './errors.ts'

const callbacksOf = new WeakMap<AbortSignal, Set<() => void>>()

/**
 * Calls `callback` when the signal aborts, until the returned function is called. Adds one listener to each signal,
 * however many calls share it: Node.js warns of a leak from the eleventh on.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const callbacks = callbacksOf.get(signal) ?? listen(signal)
  callbacks.add(callback)
  return () => void callbacks.delete(callback)
}

/** The work, or a rejection with ABORTED as soon as the signal aborts. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal, subject: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const stopListening = onAbort(signal, () => reject(abortedError(subject, signal.reason)))
    work.then(resolve, reject).finally(stopListening)
  })
}

/** The ABORTED error of one call; `cause` is the signal's reason, or the library's own error. */
export function abortedError(subject: string, cause?: unknown): OnnxEngineError {
  return new OnnxEngineError('ABORTED', `${subject}: infer() was aborted by its signal`, { cause })
}

function listen(signal: AbortSignal): Set<() => void> {
  const callbacks = new Set<() => void>()
  callbacksOf.set(signal, callbacks)
  signal.addEventListener('abort', () => callbacks.forEach((callback) => callback()), { once: true })
  return callbacks
}

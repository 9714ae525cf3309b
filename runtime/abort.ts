import { OnnxEngineError } from './errors.ts'

const waiting = new WeakMap<AbortSignal, Set<() => void>>()

/**
 * Calls `callback` when the signal aborts, until the returned function is called. Takes one listener for each signal,
 * however many calls share it: Node warns of a leak from the eleventh on.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const callbacks = waiting.get(signal) ?? listen(signal)
  callbacks.add(callback)
  return () => void callbacks.delete(callback)
}

/** The work, or a rejection with ABORTED as soon as the signal aborts. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal, where: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const forget = onAbort(signal, () => reject(abortedError(where, signal)))
    work.then(resolve, reject).finally(forget)
  })
}

export function abortedError(where: string, signal: AbortSignal): OnnxEngineError {
  return new OnnxEngineError('ABORTED', `${where}: infer() was aborted by its signal`, { cause: signal.reason })
}

function listen(signal: AbortSignal): Set<() => void> {
  const callbacks = new Set<() => void>()
  waiting.set(signal, callbacks)
  signal.addEventListener('abort', () => callbacks.forEach((callback) => callback()), { once: true })
  return callbacks
}

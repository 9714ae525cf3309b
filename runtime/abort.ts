const waiting = new WeakMap<AbortSignal, Set<() => void>>()

/**
 * Calls `callback` when the signal aborts, until the returned function is called. Takes one listener for each signal, however many calls
 * share it: Node warns of a leak from the eleventh on.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const callbacks = waiting.get(signal) ?? listen(signal)
  callbacks.add(callback)
  return () => void callbacks.delete(callback)
}

function listen(signal: AbortSignal): Set<() => void> {
  const callbacks = new Set<() => void>()
  waiting.set(signal, callbacks)
  signal.addEventListener('abort', () => callbacks.forEach((callback) => callback()), { once: true })
  return callbacks
}

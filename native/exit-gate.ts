/** Starts no more native work, cancels what runs, and waits for its end on this thread, for so many milliseconds. */
export type CloseGate = (milliseconds: number) => void

const gates: CloseGate[] = []

// A run that can be cancelled ends within milliseconds; one that cannot may take seconds.
const longestWait = 10_000

/**
 * Closes a gate before the process exits: by process.exit(), after an uncaught error, or because nothing is left to do.
 * `exit` in C then runs the destructors of engine libraries, which crash when threads are still at work in them. A
 * signal that nobody handles ends the process without any of this.
 */
export function closeAtExit(close: CloseGate): void {
  if (gates.length === 0) process.on('exit', closeAll)
  gates.push(close)
}

function closeAll(): void {
  const end = Date.now() + longestWait
  for (const close of gates) close(Math.max(0, end - Date.now()))
}

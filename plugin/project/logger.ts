/** Where a project prints its lines. */
export interface Logger {
  log(line: string): void
  warn(line: string): void
  /** Whether a person reads along in a terminal that nothing else writes to: progress then stays on one line. */
  readonly isLive?: boolean
}

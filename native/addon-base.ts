/** What every addon has. */
export interface Addon {
  /**
   * Refuses all native work of the process from now on, cancels what runs, and waits for its end, on this thread. False
   * when something still runs after so many milliseconds.
   */
  exit(milliseconds: number): boolean
}

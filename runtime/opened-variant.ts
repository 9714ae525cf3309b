import type { Session } from './session.ts'
import type { LoadedVariant, SkippedVariant } from './types.ts'

/** An open engine, and the variant that it belongs to. */
export interface OpenedVariant {
  readonly session: Session
  readonly variant: LoadedVariant
  /**
   * Opens the next variant that this machine can run, after this one has failed for `reason`. Undefined for the last
   * one. Throws ARTIFACT_INVALID.
   */
  readonly next?: ((reason: string) => Promise<OpenedVariant | NoVariant>) | undefined
}

/** Why no variant could be opened: a reason for each. */
export interface NoVariant {
  readonly skipped: readonly SkippedVariant[]
}

import type { Session } from './session.ts'
import type { LoadedVariant } from './types.ts'

/** An open engine, and the variant that it belongs to. */
export interface OpenedVariant {
  readonly session: Session
  readonly variant: LoadedVariant
}

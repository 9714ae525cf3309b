import type { BackendName } from '../../runtime/manifest.ts'

/** A backend to compile for, or a server. */
export type BackendEntry = BackendName | ServedVariant

/** A server of the Open Inference Protocol that runs the model. */
export interface ServedVariant {
  /** Its URL, or those of several servers of one model. */
  readonly remote: string | readonly string[]
  /** The name of the model on the server. Default: the name of the model here. */
  readonly model?: string
  /** The version of the model. Default: the server's choice. */
  readonly version?: string
}

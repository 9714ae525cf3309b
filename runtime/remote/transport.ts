import type { Binding } from '../manifest.ts'
import type { TlsOptions } from '../server-options.ts'
import type { CheckedTensor } from '../session.ts'

/**
 * The result of a request that needs a connection: its value, or why there was no connection. In the second case
 * nothing was sent, so that another server can be tried. Anything that may have been sent is a rejection instead.
 */
export type Attempt<T> = { readonly value: T } | { readonly unsent: string }

/** An input or output as a server describes it; -1 in the shape is an open dim. */
export interface ServedTensor {
  readonly name: string
  readonly datatype: string
  readonly shape: readonly number[]
}

/** The metadata of a model on a server. */
export interface ServedModel {
  /** Empty when the server names no versions. */
  readonly versions: readonly string[]
  /** Empty when the server names none. */
  readonly platform: string
  readonly inputs: readonly ServedTensor[]
  readonly outputs: readonly ServedTensor[]
}

/** An output on its way from a server: raw bytes (little-endian, row by row) or a list of values. */
export interface WireTensor extends ServedTensor {
  readonly content: { readonly bytes: Uint8Array } | { readonly values: readonly unknown[] }
}

/** The answer of a server to one inference. */
export interface WireReply {
  readonly outputs: readonly WireTensor[]
  /** The version that ran; empty when the server names none. */
  readonly version: string
}

export interface InferRequest {
  readonly inputs: ReadonlyMap<string, CheckedTensor>
  readonly outputs: readonly Binding[]
  readonly signal: AbortSignal | undefined
}

/** One server over one protocol. All calls reject with SERVER_UNAVAILABLE, SERVER_MISMATCH or ABORTED. */
export interface Transport {
  /** Checks that the server is live, reads the model's metadata, and checks that the model is ready. */
  describe(): Promise<Attempt<ServedModel>>
  /** Also rejects with INPUT_INVALID for what the transport cannot carry, and with INFERENCE_FAILED. */
  infer(request: InferRequest): Promise<Attempt<WireReply>>
  /** Whether the connection that describe() used is still open, as far as the transport knows. */
  connected(): boolean
  close(): void
}

/** How to reach a server, resolved from the options. */
export interface Target {
  /** Head of messages: `model "pose" on grpc://host:8001`. */
  readonly subject: string
  readonly url: URL
  readonly model: string
  readonly version: string | undefined
  readonly headers: () => Promise<Readonly<Record<string, string>>>
  readonly tls: TlsOptions
  /** Milliseconds. */
  readonly connectTimeout: number
  /** Milliseconds. */
  readonly inferTimeout: number
  readonly maxResponseBytes: number
}

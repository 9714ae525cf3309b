/// <reference lib="esnext.disposable" preserve="true" />
import { modelOf } from '../open-model.ts'
import type { ServerOptions } from '../server-options.ts'
import type { LoadedVariant, Model } from '../types.ts'
import { openRemote } from './pool.ts'

/** A model on a server, with the inputs and outputs of the model `M` that the app imports the type of. */
export interface RemoteModel<M extends Model = Model> extends Omit<Model, 'infer' | 'inferSync' | 'load' | 'variant'> {
  /** The server that answered first, with what it reports about the model. */
  readonly variant: LoadedVariant
  /**
   * Runs the model on a server, with the checks, copies and `signal` of a local model's infer(). Rejects with
   * INPUT_INVALID, INFERENCE_FAILED (with the server's own text), SERVER_UNAVAILABLE, SERVER_MISMATCH, ABORTED or
   * DISPOSED. An aborted call is cancelled on the server too.
   */
  readonly infer: M['infer']
  /** Does nothing: connectServer() has connected already. */
  load(): Promise<this>
}

/**
 * Connects to a model on servers of the Open Inference Protocol (KServe v2): Triton, KServe, MLServer, OpenVINO Model
 * Server. Resolves once a server is live, has the model ready, and describes the bindings that the app expects. Rejects
 * with OPTION_INVALID, SERVER_UNAVAILABLE, SERVER_MISMATCH, and BACKEND_UNAVAILABLE for a grpc: URL without
 * `@grpc/grpc-js` and `@grpc/proto-loader`.
 */
export async function connectServer<M extends Model = Model>(options: ServerOptions): Promise<RemoteModel<M>> {
  const opened = await openRemote(options)
  const model = modelOf({ name: options.model, bindings: opened.bindings }, async () => opened)
  await model.load()
  return model as unknown as RemoteModel<M>
}

export { errorCodes, OnnxEngineError, type ErrorCode } from '../errors.ts'
export type { ServerHeaders, ServerOptions, TlsOptions } from '../server-options.ts'

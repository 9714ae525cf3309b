import type { BackendName, ModelManifest } from '../../runtime/manifest.ts'
import type { BuildPlan } from '../backend/contract.ts'
import type { CacheKey } from '../cache/key.ts'
import type { PassRequest, PrecisionPass } from '../precision/pass.ts'

/** What is compared: a model as the options want it. */
export interface ContestRequest extends PassRequest {
  /** Another engine of the model to compare with; absent: the fp32 model on ONNX Runtime. */
  readonly against?: VerifyRequest
  /** What lowers the graph; undefined when it stays as it is. */
  readonly pass: PrecisionPass | undefined
}

/** An engine to verify. */
export interface VerifyRequest extends ContestRequest {
  /** The engine's own key: another engine is another comparison. */
  readonly key: CacheKey
  /** The import in the cache's history. */
  readonly importKey: string
  /** The engine as its backend planned it: how another one like it is compiled. */
  readonly plan: BuildPlan
  readonly manifest: ModelManifest
  /** Whether this build compiled the engine, instead of finding it in the cache. */
  readonly fresh: boolean
}

/** How messages name what an engine is compared with. */
export function opponentOf({ against }: Pick<VerifyRequest, 'against'>): string {
  return against ? `${against.backend}:${against.options.engine}` : 'the fp32 model'
}

/** Backends whose engines run on the CPU of any machine that builds them. */
export const runsHere: ReadonlySet<BackendName> = new Set(['onnxruntime', 'openvino', 'wasm'])

/** Milliseconds that a comparison may take. */
export function timeoutOf({ options: { verify } }: Pick<VerifyRequest, 'options'>): number {
  return (verify || {}).timeout ?? 300_000
}

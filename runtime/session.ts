import type { DType } from './dtype.ts'
import type { BackendName, Bindings, Requirements, VariantManifest } from './manifest.ts'

/** A tensor that was checked against the bindings: dims are resolved, and `data` covers exactly their product. */
export interface CheckedTensor {
  readonly dtype: DType
  readonly dims: readonly number[]
  readonly data: ArrayBufferView | readonly string[]
}

export interface InferOptions {
  /** Rejects at once with ABORTED; a late result is dropped. */
  readonly signal?: Signal | undefined
  /**
   * Moves the caller's buffers to the runtime instead of copying them: the arrays passed in are detached. Default
   * false.
   */
  readonly transfer?: boolean | undefined
}

// An app that is compiled without DOM and @types/node has no AbortSignal, and must still compile.
type Signal = typeof globalThis extends { AbortSignal: { prototype: infer S } } ? S : { readonly aborted: boolean }

export type SessionKind = 'native' | 'worker'

/** One opened engine. Backends implement it; `model.ts` owns its lifetime. */
export interface Session {
  /** Where it runs: in native threads of this process, in a worker, or on a server. */
  readonly kind: SessionKind | 'server'
  /**
   * How infer() takes optional inputs: `any` accepts them or does without, `filled` gets all that have a default in the
   * bindings. Without it, their defaults are compiled in, and a value is refused.
   */
  readonly optionalInputs?: 'any' | 'filled'
  /**
   * Copies the inputs before it returns its promise, so that callers may reuse their arrays at once; with `transfer`
   * the inputs are the session's own, in ArrayBuffers that nobody else sees. When the signal aborts, `model.ts` has
   * already rejected the caller's promise: a session uses the signal to skip work that has not begun, and to stop what
   * can be stopped. `data` may be a view of the same bytes in another array type.
   */
  infer(inputs: ReadonlyMap<string, CheckedTensor>, options: InferOptions): Promise<ReadonlyMap<string, CheckedTensor>>
  /** Runs the model on the calling thread, on the caller's own arrays; undefined where the session cannot. */
  inferSync?(inputs: ReadonlyMap<string, CheckedTensor>): ReadonlyMap<string, CheckedTensor>
  /** What the GPU did in inferences that have ended since the last call; of a session that was opened with `timed`. */
  takeGpuTimes?(): readonly GpuTimes[]
  /** Waits for calls in flight, then frees the engine. */
  dispose(): Promise<void>
}

/** Milliseconds of the GPU in one inference, by its own clock. */
export interface GpuTimes {
  readonly hostToDevice: number
  readonly compute: number
  readonly deviceToHost: number
}

/** How one backend opens engines at run time. */
export interface Runner<B extends BackendName> {
  /**
   * Why this machine cannot run an engine with these requirements, as text; undefined when it can. Never throws. Calls
   * `readAhead` where nothing but opening the library is left to find out: the engine is read meanwhile.
   */
  refusal(requires: Requirements[B], options: SessionOptions, readAhead?: () => void): Promise<string | undefined>
  /**
   * Throws BACKEND_UNAVAILABLE for what `refusal` could not find out without loading the library (the next variant is
   * tried), and ARTIFACT_INVALID for bytes other than those that were shipped (no other variant is tried).
   */
  open(variant: VariantManifest<B>, engine: EngineFile, bindings: Bindings, options: OpenOptions): Promise<Session>
}

/** The engine file of a variant. */
export interface EngineFile {
  readonly path: string
  /** Its verified bytes, read once. Throws ARTIFACT_INVALID. */
  read(): Promise<ArrayBuffer>
}

/** Options of `loadModel` that concern the backend's session. */
export interface SessionOptions {
  /**
   * How many calls run at once. Without it, models of ONNX Runtime share the processors: as many calls of all models as
   * there are, and no more than 4, or, where the session is a worker, one.
   */
  readonly workers?: number
  /** Threads that one inference may use; the default is the backend's own. */
  readonly threads?: number
  /** GPU index, for backends with GPUs. Default 0. */
  readonly device?: number
  /**
   * Whether TensorRT replays inferences of unchanged shapes as CUDA graphs: `'auto'` (the default) where the engine
   * allows it, or `'off'`.
   */
  readonly cudaGraph?: 'auto' | 'off'
  /**
   * Where ONNX Runtime runs: in native threads, or with onnxruntime-node in a worker. Default: natively where that is
   * possible.
   */
  readonly session?: SessionKind
  /**
   * Path of ONNX Runtime's library, or of a folder that holds it. Default: the environment variable ONNXRUNTIME_ROOT,
   * then the library in onnxruntime-node.
   */
  readonly library?: string
}

/** What a runner receives besides the engine itself. */
export interface OpenOptions extends SessionOptions {
  /** Display name of the model, for messages. */
  readonly model: string
  /** Whether sessions on a GPU time each inference, which costs some of it. */
  readonly timed?: boolean
}

import type { DType } from '../dtype.ts'
import type { Precision } from '../manifest.ts'

/** What the page asks of `worker-main.ts`. Every request but `cancel` gets one reply with its `id`. */
export type WebRequest =
  | { readonly id: number; readonly kind: 'start'; readonly start: WorkerStart }
  | { readonly id: number; readonly kind: 'adapter'; readonly allowSoftware: boolean; readonly shaderF16: boolean }
  | { readonly id: number; readonly kind: 'open'; readonly engine: number; readonly opening: EngineOpening }
  | {
      readonly id: number
      readonly kind: 'run'
      readonly engine: number
      readonly inputs: readonly WebTensor[]
    }
  | { readonly id: number; readonly kind: 'close'; readonly engine: number }
  | { readonly id: number; readonly kind: 'cancel' }

/** Everything that starts onnxruntime-web. */
export interface WorkerStart {
  /** URLs of its code. */
  readonly library: string
  readonly loader: string
  readonly wasm: ArrayBuffer
  /** Undefined: its own choice. */
  readonly threads: number | undefined
}

export interface EngineOpening {
  readonly backend: 'wasm' | 'webgpu'
  readonly engine: Precision
  readonly bytes: ArrayBuffer
  /** Inputs of zeros for a first run, which compiles shaders; undefined when dims are open. */
  readonly warmUp: readonly WebTensor[] | undefined
}

/** A tensor on its way between page and worker, its buffer moved with it. */
export interface WebTensor {
  readonly name: string
  readonly dtype: DType
  readonly dims: readonly number[]
  readonly data: ArrayBufferView | readonly string[]
}

export interface WebReply {
  readonly id: number
  readonly outputs?: readonly WebTensor[]
  /** Why WebGPU cannot be used, as text; undefined when it can. Of the request `adapter`. */
  readonly refusal?: string | undefined
  readonly error?: WebFailure
  /** The request was cancelled before it began. */
  readonly cancelled?: true
}

export interface WebFailure {
  readonly message: string
  /**
   * `code`: a script could not be loaded. `lost`: the GPU is gone. `dead`: WebAssembly has aborted. After the last two
   * the worker is of no more use.
   */
  readonly kind?: 'code' | 'lost' | 'dead'
}

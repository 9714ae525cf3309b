/// <reference lib="esnext.disposable" preserve="true" />
import type { DType, dtypes } from './dtype.ts'
import type { BackendName, Bindings, Precision } from './manifest.ts'
import type { InferOptions, SessionKind } from './session.ts'

/**
 * A model as code sees it. `I` and `O` describe each input and output in one compact text, which generated declarations
 * fill in: `float32[batch,3,448,448]` has one named and three static dims, `?` is an unknown dim, `float32[]` a scalar,
 * and `float32[...]` has an unknown rank. An optional property of `I` is an input with a default. The plain `Model`,
 * which `loadModel` returns, accepts any names; infer() then checks them.
 */
export interface Model<I extends CompactInputs = CompactBindings, O extends CompactBindings = CompactBindings> {
  /** Display name: the model file's base name. */
  readonly name: string
  /** The inputs and outputs in the order of the graph. */
  readonly bindings: Bindings
  /** The engine that was chosen on this machine; undefined until the model is loaded. */
  readonly variant: LoadedVariant | undefined
  /**
   * Opens the engine now instead of at the first infer(). Later calls wait for the same engine. Rejects with
   * NO_VARIANT, ARTIFACT_INVALID, BACKEND_UNAVAILABLE or DISPOSED. After a rejection, the next call tries again.
   */
  load(options?: LoadCallOptions): Promise<this>
  /**
   * Runs the model once. Many calls may be in flight. The arrays passed in stay the caller's, unless `transfer` is
   * true. Rejects with INPUT_INVALID, INFERENCE_FAILED, WORKER_CRASHED, ABORTED or DISPOSED, and with the codes of
   * load().
   */
  infer(inputs: Inputs<I>, options?: InferOptions): Promise<Outputs<O>>
  /**
   * Runs the model once on this thread, and holds the event loop for as long as that takes: for models of microseconds.
   * Undefined until the model is loaded, and where the loaded variant cannot: only native sessions of ONNX Runtime can.
   * Throws INPUT_INVALID, INFERENCE_FAILED or DISPOSED.
   */
  readonly inferSync: SyncCall<I, O>['call'] | undefined
  /** Waits for calls in flight, then frees the engine. From then on, infer() rejects with DISPOSED. */
  dispose(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

// A method, because function properties are compared more strictly: a model with named inputs is a model, too.
interface SyncCall<I extends CompactInputs, O extends CompactBindings> {
  call(inputs: Inputs<I>): Outputs<O>
}

/** Options of one call of load(). */
export interface LoadCallOptions {
  /** Called in a page whenever more of the engine has arrived, for a progress bar. Elsewhere, engines are files. */
  readonly onProgress?: OnProgress | undefined
}

export type OnProgress = (progress: LoadProgress) => void

/** Bytes of the engine, and of the library if the page does not have it yet, as they are after decompression. */
export interface LoadProgress {
  readonly received: number
  readonly expected: number
}

/** Inputs or outputs by name, each as compact text such as `float32[batch,3,448,448]`. */
export type CompactBindings = Readonly<Record<string, string>>

/** Inputs by name. Those with a default may be optional. */
export type CompactInputs = Readonly<Record<string, string | undefined>>

/** The variant that load() chose, and why the ones before it were skipped. */
export interface LoadedVariant {
  /** `'remote'` is a server. */
  readonly backend: BackendName | 'remote'
  /** The precision; undefined for a server, which does not report it. */
  readonly engine: Precision | undefined
  /** Whether it runs in native threads of this process, in a worker, or on a server. */
  readonly session: SessionKind | 'server'
  readonly skipped: readonly SkippedVariant[]
  /** Only with `backend: 'remote'`. */
  readonly server?: ServerFacts
}

/** A variant that could not be used on this machine. */
export interface SkippedVariant {
  readonly backend: BackendName | 'remote'
  readonly engine: Precision | undefined
  readonly reason: string
}

/** What a server reports about the model. */
export interface ServerFacts {
  /** The server that answered first. */
  readonly url: string
  /** Such as `onnxruntime_onnx`; empty when the server names none. */
  readonly platform: string
  /** Empty when the server names none. */
  readonly versions: readonly string[]
}

/** What infer() takes: every input of the model by name. */
export type Inputs<I extends CompactInputs> = { readonly [K in keyof I]: Input<NonNullable<I[K]>> }

/** What infer() returns: every output of the model by name. */
export type Outputs<O extends CompactBindings> = { readonly [K in keyof O]: Output<O[K]> }

/**
 * One input: a tensor, or its plain data where all dims are static. Named dims accept any number; infer() checks that
 * two dims of one name are equal.
 */
export type Input<B extends string> = string extends B
  ? Tensor | InputData
  : B extends `${infer D extends DType}[${infer S}]`
    ? (number extends Dims<S>[number] ? never : InputData<D>) | Tensor<D, Dims<S>>
    : never

/** One output. Its data is a separate array, which the caller may keep, change or transfer. */
export type Output<B extends string> = string extends B
  ? OutputTensor
  : B extends `${infer D extends DType}[${infer S}]`
    ? OutputTensor<D, Dims<S>>
    : never

/** A tensor that goes into a model: `data` holds the product of `dims` elements, row by row. */
export interface Tensor<D extends DType = DType, S extends readonly number[] = readonly number[]> {
  /** Optional: the model knows it. */
  readonly dtype?: D | undefined
  readonly dims: S
  readonly data: InputData<D>
}

/** A tensor that comes out of a model. */
export interface OutputTensor<D extends DType = DType, S extends readonly number[] = readonly number[]> {
  readonly dtype: D
  readonly dims: S
  readonly data: OutputData<D>
}

/**
 * What may hold the elements of an input: the typed array of the dtype, for uint8 also a `Uint8ClampedArray`, for
 * float16 either a `Float16Array` or the raw bits in a `Uint16Array`. Bools are bytes of 0 or 1. Strings are an array
 * of strings.
 */
export type InputData<D extends DType = DType> = {
  [K in D]: K extends 'string' ? readonly string[] : TypedArray<InputArray<K>>
}[D]

/** The array that holds the elements of an output. float16 and bfloat16 are raw bits. */
export type OutputData<D extends DType = DType> = { [K in D]: OutputArrays[(typeof dtypes)[K]['array']] }[D]

/**
 * Structural on purpose: it accepts every typed array of that name, shared memory included, and `Float16Array` without
 * its lib; the error for another array type is one line.
 */
export interface TypedArray<Name extends string> extends ArrayBufferView {
  readonly [Symbol.toStringTag]: Name
  readonly length: number
}

/** Stands in for a model where one import text means several files. */
export interface Ambiguous<Why extends string> {
  readonly ambiguous: Why
}

/**
 * A tensor for infer(): keeps the dtype and the dims as literal types, so that they are compared with the model's own.
 */
export function tensor<const D extends DType, const S extends readonly number[]>(
  dtype: D,
  data: InputData<D>,
  dims: S,
): TensorOf<D, S> {
  return { dtype, data, dims }
}

/** What tensor() returns: unlike in a Tensor that is written by hand, the dtype is present. */
export interface TensorOf<D extends DType, S extends readonly number[]> extends Tensor<D, S> {
  readonly dtype: D
}

interface OutputArrays {
  Float32Array: Float32Array<ArrayBuffer>
  Float64Array: Float64Array<ArrayBuffer>
  Int8Array: Int8Array<ArrayBuffer>
  Int16Array: Int16Array<ArrayBuffer>
  Int32Array: Int32Array<ArrayBuffer>
  BigInt64Array: BigInt64Array<ArrayBuffer>
  Uint8Array: Uint8Array<ArrayBuffer>
  Uint16Array: Uint16Array<ArrayBuffer>
  Uint32Array: Uint32Array<ArrayBuffer>
  BigUint64Array: BigUint64Array<ArrayBuffer>
  Array: string[]
}

type InputArray<D extends DType> =
  | (typeof dtypes)[D]['array']
  | (D extends keyof AlsoAccepted ? AlsoAccepted[D] : never)

interface AlsoAccepted {
  float16: 'Float16Array'
  uint8: 'Uint8ClampedArray'
}

// Ends in a tail call, which TypeScript follows 1000 deep: declarations print a higher rank as unknown.
type Dims<S extends string, Done extends readonly number[] = readonly []> = S extends '...'
  ? readonly number[]
  : S extends ''
    ? Done
    : S extends `${infer Head},${infer Tail}`
      ? Dims<Tail, readonly [...Done, Dim<Head>]>
      : readonly [...Done, Dim<S>]

type Dim<S extends string> = S extends `${infer N extends number}` ? N : number

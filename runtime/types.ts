/// <reference lib="esnext.disposable" preserve="true" />
import type { DType, dtypes } from './dtype.ts'
import type { BackendName, Bindings, Precision } from './manifest.ts'
import type { InferOptions } from './session.ts'

/**
 * A model as code sees it. `I` and `O` give each input and output in one compact text, which generated declarations
 * fill in: `float32[batch,3,448,448]` has a named and three static dims, `?` is an unknown dim, `float32[]` a scalar,
 * and `float32[...]` has an unknown rank. The plain `Model`, which `loadModel` gives, accepts any names; infer() then
 * checks them.
 */
export interface Model<I extends CompactBindings = CompactBindings, O extends CompactBindings = CompactBindings> {
  /** Display name: the model file's base name. */
  readonly name: string
  /** The inputs and outputs in the order of the graph. */
  readonly bindings: Bindings
  /** The engine that was chosen on this machine; undefined until the model is loaded. */
  readonly variant: LoadedVariant | undefined
  /**
   * Opens the engine now instead of at the first infer(). Calls after the first wait for the same engine. Rejects with
   * NO_VARIANT, ARTIFACT_INVALID, BACKEND_UNAVAILABLE or DISPOSED.
   */
  load(): Promise<this>
  /**
   * Runs the model once. Many calls may be in flight. The arrays passed in stay the caller's, unless `transfer` is
   * true. Rejects with INPUT_INVALID, INFERENCE_FAILED, WORKER_CRASHED, ABORTED or DISPOSED, and with what load()
   * rejects with.
   */
  infer(inputs: Inputs<I>, options?: InferOptions): Promise<Outputs<O>>
  /** Waits for what is in flight, then frees the engine. infer() rejects with DISPOSED from then on. */
  dispose(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Inputs or outputs by name, each as compact text such as `float32[batch,3,448,448]`. */
export type CompactBindings = Readonly<Record<string, string>>

/** The variant that load() chose, and why those before it were passed over. */
export interface LoadedVariant {
  readonly backend: BackendName
  readonly engine: Precision
  readonly skipped: readonly { readonly backend: BackendName; readonly engine: Precision; readonly reason: string }[]
}

/** What infer() takes: every input of the model by name. */
export type Inputs<I extends CompactBindings> = { readonly [K in keyof I]: Input<I[K]> }

/** What infer() gives: every output of the model by name. */
export type Outputs<O extends CompactBindings> = { readonly [K in keyof O]: Output<O[K]> }

/**
 * One input: a tensor, or its plain data where the model leaves no dim open. Named dims take any number; that two dims
 * of one name are equal is checked by infer().
 */
export type Input<B extends string> = string extends B
  ? Tensor | InputData
  : B extends `${infer D extends DType}[${infer S}]`
    ? (number extends Dims<S>[number] ? never : InputData<D>) | Tensor<D, Dims<S>>
    : never

/** One output. Its data is an array of its own, which the caller may keep, change or transfer. */
export type Output<B extends string> = string extends B
  ? OutputTensor
  : B extends `${infer D extends DType}[${infer S}]`
    ? OutputTensor<D, Dims<S>>
    : never

/** A tensor that goes into a model: `data` holds the product of `dims` elements, row by row. */
export interface Tensor<D extends DType = DType, S extends readonly number[] = readonly number[]> {
  /** May be left out: the model knows it. */
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
 * What may carry the elements of an input: the typed array of the dtype, `Uint8ClampedArray` for uint8 too, and for
 * float16 either a `Float16Array` or the raw bits in a `Uint16Array`. Bools are bytes of 0 or 1. Strings are an array
 * of strings.
 */
export type InputData<D extends DType = DType> = {
  [K in D]: K extends 'string' ? readonly string[] : TypedArray<InputArray<K>>
}[D]

/** The array that carries the elements of an output. float16 and bfloat16 are raw bits. */
export type OutputData<D extends DType = DType> = { [K in D]: OutputArrays[(typeof dtypes)[K]['array']] }[D]

/**
 * Structural on purpose: it takes every typed array of that name, over shared memory too, and `Float16Array` without
 * its lib, and an array of another kind is refused in one line.
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
 * A tensor for infer(): keeps the dtype and the dims as literal types, so that they are held against the model's own.
 */
export function tensor<const D extends DType, const S extends readonly number[]>(
  dtype: D,
  data: InputData<D>,
  dims: S,
): TensorOf<D, S> {
  return { dtype, data, dims }
}

/** What tensor() gives: unlike in a Tensor that is written by hand, the dtype is there. */
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

type InputArray<D extends DType> = (typeof dtypes)[D]['array'] | (D extends keyof AlsoTaken ? AlsoTaken[D] : never)

interface AlsoTaken {
  float16: 'Float16Array'
  uint8: 'Uint8ClampedArray'
}

// Ends in a tail call, which TypeScript follows 1000 deep: declarations give a higher rank as unknown.
type Dims<S extends string, Done extends readonly number[] = readonly []> = S extends '...'
  ? readonly number[]
  : S extends ''
    ? Done
    : S extends `${infer Head},${infer Tail}`
      ? Dims<Tail, readonly [...Done, Dim<Head>]>
      : readonly [...Done, Dim<S>]

type Dim<S extends string> = S extends `${infer N extends number}` ? N : number

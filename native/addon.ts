import type { Addon } from './addon-base.ts'
import type { TensorRtAddon } from './tensorrt-addon.ts'
import type { TensorRtAddonName } from './tensorrt-wheels.ts'

/**
 * The whole native boundary. Addons are thin layers over their engine library: they check nothing that TypeScript can
 * check before, throw plain Errors with the library's own text, and never run inference on the event loop. Paths are
 * absolute and UTF-8.
 */
export type Addons = { readonly onnxruntime: OnnxRuntimeAddon; readonly openvino: OpenVinoAddon } & {
  readonly [A in TensorRtAddonName]: TensorRtAddon
}

/** The typed array of an input, of any type: its bytes count. Or the strings of an input. */
export type OnnxRuntimeData = ArrayBufferView | readonly string[]

/**
 * What an inference takes: data and dims of each input, then, for each output whose dims are known before the run, a
 * typed array that ONNX Runtime writes into, and its dims. Arguments instead of an object: reading names costs a tenth
 * of a call of a small model.
 */
export type OnnxRuntimeCall = readonly [
  data: readonly OnnxRuntimeData[],
  dims: readonly (readonly number[])[],
  targets: readonly (ArrayBufferView | null)[],
  targetDims: readonly (readonly number[] | null)[],
]

/** Null for an output that was written into its target. */
export type OnnxRuntimeOutput =
  | null
  | { readonly buffer: ArrayBuffer; readonly dims: number[] }
  | { readonly strings: string[]; readonly dims: number[] }

export interface OnnxRuntimePort {
  readonly name: string
  readonly dtype: string
}

export interface OnnxRuntimeEngine {
  /** How many inferences run at once, at most. */
  readonly runs: number
  readonly inputs: readonly OnnxRuntimePort[]
  readonly outputs: readonly OnnxRuntimePort[]
  /**
   * Queues an inference. Inputs are read, and targets written, in place until the promise settles. An output without a
   * target, or with one of other dims than it has, is copied. Where a call follows the last one at once, and that took
   * microseconds, its end is waited for, if it comes sooner than the event loop could wake. Throws, or rejects with the
   * text of ONNX Runtime.
   */
  infer(
    ...call: OnnxRuntimeCall
  ): { readonly id: number; readonly outputs: Promise<OnnxRuntimeOutput[]> } | { readonly outputs: OnnxRuntimeOutput[] }
  /** The same on this thread. */
  inferSync(...call: OnnxRuntimeCall): OnnxRuntimeOutput[]
  /** Ends an inference that has not begun, and stops one that runs before its next node: its promise rejects. */
  cancel(id: number): void
  /** Frees the engine off the event loop. Throws while an inference is in flight. */
  close(): Promise<void>
}

export interface OnnxRuntimeAddon extends Addon {
  /** Opens the library (path of libonnxruntime) and asks for its version, such as '1.30.0'. */
  version(library: string): Promise<string>
  /** Opens an engine; `inputs` and `outputs` are the names in the order that `infer` uses. */
  load(
    library: string,
    bytes: Uint8Array,
    settings: {
      readonly inputs: readonly string[]
      readonly outputs: readonly string[]
      /** Threads that one run may use; null for ONNX Runtime's own choice. */
      readonly threads: number | null
      /** Runs at once; null shares those of the process with other models. */
      readonly runs: number | null
      /** External data of the model, which is copied; null if it has none. */
      readonly weights: Uint8Array | null
      /** The file as which the model names its external data. */
      readonly weightsName: string
    },
  ): Promise<OnnxRuntimeEngine>
}

/** Bounds of each dim, inclusive: equal bounds fix it, a maximum of -1 leaves it open. */
export interface DimBounds {
  readonly min: readonly number[]
  readonly max: readonly number[]
}

/** An input or output of an OpenVINO engine. With null dims, even the rank is open. */
export interface OpenVinoPort {
  readonly name: string
  readonly dtype: string
  readonly dims: DimBounds | null
}

export interface OpenVinoDevice {
  /** 'CPU', 'GPU.0', 'NPU'. */
  readonly name: string
  readonly fullName: string
  /** Separated by spaces, such as 'BF16 FP32 INT8 EXPORT_IMPORT'. */
  readonly capabilities: string
  /**
   * What a blob compiled here requires from the machine that imports it, such as 'meta=1.0;ov=2026.4.1;isa=Intel AVX
   * 10.1'; or ''.
   */
  readonly runtimeRequirements: string
}

export interface OpenVinoEngine {
  /** The device's preferred number of inferences in flight: infer requests have the numbers below it. */
  readonly requests: number
  readonly inputs: readonly OpenVinoPort[]
  readonly outputs: readonly OpenVinoPort[]
  /**
   * Runs one inference on an idle infer request. Inputs are in the order of `load`; they are copied before this
   * returns, or, with `borrow`, read in place until the promise settles. Throws, or rejects with the library's text.
   */
  infer(
    request: number,
    inputs: readonly { readonly bytes: Uint8Array; readonly dims: readonly number[] }[],
    borrow: boolean,
  ): Promise<{ readonly buffer: ArrayBuffer; readonly dims: number[] }[]>
  /** Asks the library to stop early: the promise of `infer` rejects, or resolves when it was too late. */
  cancel(request: number): void
  /** Frees the engine off the event loop. Throws while an inference is in flight. */
  close(): Promise<void>
}

export interface OpenVinoAddon extends Addon {
  /**
   * Opens the library (path of libopenvino_c) and returns its version, such as
   * '2026.4.1-22982-e213a147257-releases/2026/4'.
   */
  version(library: string): Promise<string>
  /** The version and all devices, which takes longer: the plugin of each device is loaded. */
  probe(library: string): Promise<{ readonly version: string; readonly devices: readonly OpenVinoDevice[] }>
  /** Compiles an ONNX file and exports the blob. `properties` has OpenVINO's names, `shapes` the names of inputs. */
  build(
    library: string,
    settings: {
      readonly model: string
      readonly output: string
      readonly device: string
      readonly properties: Readonly<Record<string, string>>
      readonly shapes: Readonly<Record<string, DimBounds>>
    },
  ): Promise<void>
  /** Imports a blob; `inputs` and `outputs` are the names in the order that `infer` uses. */
  load(
    library: string,
    bytes: Uint8Array,
    settings: {
      readonly device: string
      readonly properties: Readonly<Record<string, string>>
      readonly inputs: readonly string[]
      readonly outputs: readonly string[]
    },
  ): Promise<OpenVinoEngine>
}

/**
 * The whole native boundary. Addons mirror their engine library thinly: they check nothing that TypeScript can check before, throw
 * plain Errors with the library's own text, and never run inference on the event loop. Paths are absolute and UTF-8.
 */
export interface Addons {
  readonly openvino: OpenVinoAddon
}

/** Bounds of each dim, inclusive: equal ones fix it, a max of -1 leaves it open. */
export interface DimBounds {
  readonly min: readonly number[]
  readonly max: readonly number[]
}

/** An input or output of an OpenVINO engine. Null means that even the rank is free. */
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
  /** What a blob compiled here demands of the importing machine, such as 'meta=1.0;ov=2026.4.1;isa=Intel AVX 10.1'; or ''. */
  readonly runtimeRequirements: string
}

export interface OpenVinoEngine {
  /** How many inferences the device likes to have in flight: the numbers below this are the infer requests. */
  readonly requests: number
  readonly inputs: readonly OpenVinoPort[]
  readonly outputs: readonly OpenVinoPort[]
  /**
   * Runs one inference on an infer request that is not in use. Inputs are in the order of `load`; they are copied before this returns,
   * or, with `borrow`, read in place until the promise settles. Throws, or rejects with the library's text.
   */
  infer(
    request: number,
    inputs: readonly { readonly bytes: Uint8Array; readonly dims: readonly number[] }[],
    borrow: boolean,
  ): Promise<{ readonly buffer: ArrayBuffer; readonly dims: number[] }[]>
  /** Asks the library to stop early; the promise of `infer` then rejects, or resolves when it was too late. */
  cancel(request: number): void
  /** Frees the engine off the event loop. Throws while an inference is in flight. */
  close(): Promise<void>
}

export interface OpenVinoAddon {
  /** Opens the library (path of libopenvino_c) and asks for its version, such as '2026.4.1-22982-e213a147257-releases/2026/4'. */
  version(library: string): Promise<string>
  /** The same with all devices, which takes longer: the plugin of each is loaded. */
  probe(library: string): Promise<{ readonly version: string; readonly devices: readonly OpenVinoDevice[] }>
  /** Compiles an ONNX file and exports the blob. `properties` have OpenVINO's names; `shapes` are by input name. */
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

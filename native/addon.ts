import type { TensorRtAddonName } from './tensorrt-wheels.ts'

/**
 * The whole native boundary. Addons are thin layers over their engine library: they check nothing that TypeScript can
 * check before, throw plain Errors with the library's own text, and never run inference on the event loop. Paths are
 * absolute and UTF-8.
 */
export type Addons = { readonly onnxruntime: OnnxRuntimeAddon; readonly openvino: OpenVinoAddon } & {
  readonly [A in TensorRtAddonName]: TensorRtAddon
}

/** What every addon has. */
export interface Addon {
  /**
   * Refuses all native work of the process from now on, cancels what runs, and waits for its end, on this thread. False
   * when something still runs after so many milliseconds.
   */
  exit(milliseconds: number): boolean
}

/** The bytes of an input, or its strings. Numbers are in the order and form of the typed array of their dtype. */
export type OnnxRuntimeData = Uint8Array | readonly string[]

export type OnnxRuntimeOutput =
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
   * Queues an inference; `data` and `dims` are in the order of the inputs. Bytes are read in place until the promise
   * settles. `outputs` has the dims of each output that are known before: ONNX Runtime then writes into the buffer that
   * the caller gets; null, or wrong dims, cost a copy. Throws, or rejects with the text of ONNX Runtime.
   */
  infer(
    data: readonly OnnxRuntimeData[],
    dims: readonly (readonly number[])[],
    outputs: readonly (readonly number[] | null)[],
  ): { readonly id: number; readonly outputs: Promise<OnnxRuntimeOutput[]> }
  /** The same on this thread. */
  inferSync(
    data: readonly OnnxRuntimeData[],
    dims: readonly (readonly number[])[],
    outputs: readonly (readonly number[] | null)[],
  ): OnnxRuntimeOutput[]
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

/** One ABI family of TensorRT or TensorRT-RTX. `library` is the path of nvinfer or tensorrt_rtx. */
export interface TensorRtAddon extends Addon {
  /** The version of a library of any family, such as '1.7.1.116', and of its parser, such as 10701. */
  versions(library: string, parser: string): Promise<{ readonly version: string; readonly parser: number }>
  /**
   * Loads TensorRT's plugin library, to find out whether it can be used. Rejects when it cannot, or when `library` is
   * of another ABI family.
   */
  plugins(library: string, plugins: string): Promise<void>
  /** The GPUs that the NVIDIA driver reports; needs no TensorRT. */
  gpus(): Promise<GpuProbe>
  /**
   * Builds an engine on its own thread. All lines of the log arrive before the promise settles; a 'phase' is what the
   * builder is doing.
   */
  build(
    library: string,
    settings: TensorRtBuild,
    log: (severity: 'error' | 'warning' | 'info' | 'phase', text: string) => void,
  ): Promise<void>
  /** Deserializes an engine on a GPU. Rejects with the reason why it cannot run, or with the library's text. */
  load(
    library: string,
    bytes: Uint8Array,
    settings: {
      /** Index of the GPU. */
      readonly device: number
      /** How many inferences run at once. */
      readonly contexts: number
      readonly cudaGraph: boolean
      /** What `runtimeCache` returned after an earlier load, or no bytes. */
      readonly runtimeCache: Uint8Array
      /**
       * Lets the engine run code that it contains, as a version-compatible plan of TensorRT does. Engines of
       * TensorRT-RTX contain none.
       */
      readonly hostCode: boolean
      /** Path of TensorRT's plugin library; '' for none. */
      readonly plugins: string
    },
  ): Promise<TensorRtEngine>
}

/** An input or output of a TensorRT engine; -1 is an open dim. */
export interface TensorRtPort {
  readonly name: string
  readonly dtype: string
  readonly input: boolean
  readonly dims: readonly number[]
}

/** Bounds of the inputs in one optimization profile, in the order of the input ports. */
export interface TensorRtProfile {
  readonly min: readonly (readonly number[])[]
  readonly max: readonly (readonly number[])[]
  /** Bounds of the values of shape tensors; empty for other inputs. */
  readonly minValues: readonly (readonly number[])[]
  readonly maxValues: readonly (readonly number[])[]
}

export interface TensorRtEngine {
  readonly ports: readonly TensorRtPort[]
  readonly profiles: readonly TensorRtProfile[]
  /**
   * Queues an inference, inputs in the order of the input ports; they are copied before this returns, or, with
   * `borrow`, read in place until the promise settles. Outputs are in the order of the output ports. Rejects with the
   * text of TensorRT or CUDA.
   */
  infer(
    inputs: readonly { readonly bytes: Uint8Array; readonly dims: readonly number[] }[],
    borrow: boolean,
  ): { readonly id: number; readonly outputs: Promise<{ readonly buffer: ArrayBuffer; readonly dims: number[] }[]> }
  /** Cancels an inference that has not begun: its promise rejects. */
  cancel(id: number): void
  /** Kernels that TensorRT-RTX compiled for this GPU; empty where there are none. */
  runtimeCache(): Promise<ArrayBuffer>
  /** Frees the engine off the event loop. Throws while an inference is in flight. */
  close(): Promise<void>
}

/** What the NVIDIA driver reports, as plain data: tests of cache keys use the answers of other machines. */
export interface GpuProbe {
  /** Why there are no GPUs, as text; '' when there are. */
  readonly reason: string
  /** Version of the driver, such as '580.95.05'; '' where NVML does not report it. */
  readonly driver: string
  /** The newest CUDA that the driver supports, such as '13.0'; '' without a driver. */
  readonly cuda: string
  readonly gpus: readonly Gpu[]
}

export interface Gpu {
  readonly name: string
  /** Such as 'sm89'. */
  readonly computeCapability: string
  readonly multiprocessors: number
  readonly l2Bytes: number
  readonly memoryBusBits: number
  readonly memoryBytes: number
}

/**
 * Bounds of one input in one optimization profile: of a dynamic input's dims, or of a shape tensor's values.
 */
export interface ProfiledInput {
  readonly input: string
  readonly values: boolean
  readonly min: readonly number[]
  readonly opt: readonly number[]
  readonly max: readonly number[]
}

/** Settings of a build, with TensorRT's own names and values; null keeps the default. */
export interface TensorRtBuild {
  /** Path of the ONNX parser's library. */
  readonly parser: string
  /** Path of TensorRT's plugin library; '' for none. */
  readonly plugins: string
  readonly model: string
  readonly output: string
  /** As numbers, such as 86; TensorRT-RTX only. */
  readonly computeCapabilities: readonly number[]
  /** Inputs whose dims are fixed; -1 leaves one open. */
  readonly fixed: readonly { readonly input: string; readonly dims: readonly number[] }[]
  readonly profiles: readonly (readonly ProfiledInput[])[]
  /** Names of BuilderFlag, such as 'STRIP_PLAN'. */
  readonly flags: readonly string[]
  readonly hardwareCompatibility: 'none' | 'ampere+' | 'same-compute-capability'
  readonly profilingVerbosity: 'layer-names-only' | 'none' | 'detailed'
  readonly builderOptimizationLevel: number | null
  readonly maxAuxStreams: number | null
  /** Limit of the workspace memory pool in bytes. */
  readonly workspace: number | null
  /** Path of a timing cache that the caller has locked; '' for none. TensorRT only. */
  readonly timingCache: string
  /** Logs infos too: tens of thousands of lines for a large network. */
  readonly verbose: boolean
}

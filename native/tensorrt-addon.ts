import type { Addon } from './addon-base.ts'

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
      /** Whether CUDA events time each inference, for `takeTimes`. */
      readonly timed: boolean
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
  /**
   * The times of inferences that have ended since the last call, as three float32 each, in milliseconds of the GPU:
   * copies of the inputs, the engine, copies of the outputs. No bytes where the engine was loaded without `timed`.
   */
  takeTimes(): ArrayBuffer
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

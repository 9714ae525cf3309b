import type { DType } from './dtype.ts'

/** A dim: static (a number), named (the model's own symbol), or unknown (null). */
export type Dim = number | string | null

/** An input or output of a model. `dims: null` means that the rank itself is unknown; `[]` is a scalar. */
export interface Binding {
  readonly name: string
  readonly dtype: DType
  readonly dims: readonly Dim[] | null
  /** Set for an input that has a default in the model (an initializer of the same name): infer() may leave it out. */
  readonly optional?: true
  /** Of an optional input: what an engine that takes the input gets when it is left out. */
  readonly default?: InputDefault
}

/** The default of an input. */
export interface InputDefault {
  readonly dims: readonly number[]
  /** The elements as little-endian bytes, in base64. */
  readonly data: string
}

/** Whether infer() checks that dims of one name are equal. */
export const dimsChecks = ['named', 'loose'] as const
export type DimsCheck = (typeof dimsChecks)[number]

/** The bindings of a model, in the order of its graph. */
export interface Bindings {
  readonly inputs: readonly Binding[]
  readonly outputs: readonly Binding[]
}

/**
 * The precision that an engine computes in. `int8-weights` and `int4-weights` store weights in 8 or 4 bits and compute
 * in floating point.
 */
export const precisions = ['fp32', 'fp16', 'bf16', 'int8', 'int8-weights', 'int4-weights'] as const
export type Precision = (typeof precisions)[number]

/**
 * What an engine of each backend requires from the machine that runs it. Flat data: checked at load, shown by
 * `unplugin-onnx inspect` for a manifest.
 */
export interface Requirements {
  readonly onnxruntime: {
    /**
     * The ONNX Runtime that wrote the engine. A portable engine runs on this version and newer ones of the same major
     * version; an engine with a layout runs on the same minor version only.
     */
    readonly version: string
    /** CPU architecture in Node's terms (`process.arch`), or 'any' for a portable engine. */
    readonly arch: string
    /**
     * Channels per block (NCHWc) that the weights are laid out in: 16 where the CPU has AVX-512, else 8; 0 for a
     * portable engine.
     */
    readonly layout: 0 | 8 | 16
    /**
     * Set for an int8 engine that needs an x64 CPU with VNNI: its weights have 8 bits, whose products overflow in the
     * 16 bits that other CPUs add them in.
     */
    readonly vnni?: true
  }
  readonly openvino: {
    /** OpenVINO version and build that exported the blob. */
    readonly version: string
    /** Device name without its number: CPU, GPU or NPU. */
    readonly device: string
    readonly arch: string
    /**
     * What OpenVINO requires from the machine that imports the blob, in its own text, such as
     * 'meta=1.0;ov=2026.4.1;isa=Intel AVX 10.1': the import fails on any other. Empty for devices that require
     * nothing.
     */
    readonly runtimeRequirements: string
    /**
     * OpenVINO properties to load the engine with, such as PERFORMANCE_HINT: a CPU blob does not contain its precision.
     */
    readonly properties: Readonly<Record<string, string>>
  }
  readonly 'tensorrt-rtx': {
    /** The exact TensorRT-RTX version: engines run on no other release. */
    readonly version: string
    /** Compute capabilities that the engine was built for, sorted, such as 'sm86'. */
    readonly targets: readonly string[]
    readonly platform: string
    readonly arch: string
  }
  readonly tensorrt: {
    /** TensorRT version that built the plan: the only one that runs it, or the oldest one with `versionCompatible`. */
    readonly version: string
    /**
     * Set for a plan that contains TensorRT's lean runtime, so that it also runs on later versions of the same major
     * version. The process runs that code.
     */
    readonly versionCompatible?: true
    readonly gpu: string
    /** The compute capability that runs it, such as 'sm89', or the lowest one, such as 'sm80+'. */
    readonly computeCapability: string
    /** The oldest driver version that runs it: the one of the build machine. */
    readonly driver: string
    readonly platform: string
    readonly arch: string
  }
  readonly wasm: {
    /**
     * The ONNX Runtime that wrote the engine: a page runs it with this version, or a later one of the same major
     * version.
     */
    readonly version: string
  }
  readonly webgpu: {
    readonly version: string
    /** Set for an engine that computes in fp16, which takes a GPU with the feature `shader-f16`. */
    readonly shaderF16?: true
  }
}

export type BackendName = keyof Requirements
export const backendNames = [
  'onnxruntime',
  'openvino',
  'tensorrt-rtx',
  'tensorrt',
  'wasm',
  'webgpu',
] as const satisfies readonly BackendName[]

/** One engine of a model: where it is, how it is verified, and what it requires. */
export type VariantManifest<B extends BackendName = BackendName> = {
  [K in B]: {
    readonly backend: K
    readonly engine: Precision
    /** A file URL, or a path relative to the manifest's own folder. */
    readonly file: FileUrl | string
    /** Size in bytes. */
    readonly size: number
    /** Lower-case hex SHA-256 of the engine's bytes, verified before they reach an engine library. */
    readonly sha256: string
    readonly requires: Requirements[K]
    /** Present when the engine was not compared with the fp32 model. */
    readonly verified?: false
  }
}[B]

/** A `URL`. An app that is compiled without DOM and @types/node has no such type, and must still compile. */
export type FileUrl = typeof globalThis extends { URL: { prototype: infer U } } ? U : { readonly href: string }

/**
 * What the generated module passes to the runtime, and what `compile` writes as `.json`. Variants are in order of
 * preference.
 */
export interface ModelManifest {
  /** Format version of this manifest. */
  readonly schema: 1
  /** Display name: the model file's base name. */
  readonly name: string
  readonly bindings: Bindings
  readonly variants: readonly VariantManifest[]
  /** A server that runs the model if no variant can, or before them. */
  readonly server?: ManifestServer
}

/** A server of the Open Inference Protocol, as the options of a build name it. */
export interface ManifestServer {
  readonly url: string | readonly string[]
  /** The name of the model on the server. Default: `name` of the manifest. */
  readonly model?: string
  readonly version?: string
  /** Which is tried first. */
  readonly first: 'local' | 'remote'
}

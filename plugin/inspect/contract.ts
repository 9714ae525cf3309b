// The nouns of inspect: what it found in a file, as plain data for a terminal, a file and a page.
import type { StoredDType } from '../../runtime/dtype.ts'
import type { BackendName, Binding, Precision, Requirements } from '../../runtime/manifest.ts'
import type { Initializer } from '../onnx/model.ts'

/** What inspect found. */
export type Inspection = ModelInspection | EngineInspection | BundleInspection

/** An input or output of a model, or what is wrong with it. */
export type InspectedBinding = Binding | { readonly name: string; readonly problem: string }

/** A model. */
export type ModelInspection = {
  readonly kind: 'model'
  readonly file: string
  readonly size: number
  readonly irVersion: number
  readonly opsets: Readonly<Record<string, number>>
  readonly producer: string
  readonly metadata: readonly { readonly key: string; readonly value: string }[]
  readonly bindings: { readonly inputs: readonly InspectedBinding[]; readonly outputs: readonly InspectedBinding[] }
  /** Inputs that have a default in the model. */
  readonly defaults: readonly Binding[]
  /** Why the model as a whole cannot be compiled. */
  readonly problems: readonly string[]
  readonly initializers: readonly Initializer[]
  readonly external: readonly { readonly file: string; readonly length: number }[]
  /** Of initializers and of Constant nodes. */
  readonly weights: {
    readonly tensors: number
    readonly parameters: number
    readonly bytes: number
    readonly byDType: readonly { readonly dtype: StoredDType; readonly bytes: number }[]
  }
  readonly operators: readonly OperatorFacts[]
  /** Names of local functions. */
  readonly functions: readonly string[]
  readonly shapes: ShapeFacts
  /** Multiply-adds of one inference; null when a shape is missing. Bodies of Loop and Scan count once. */
  readonly multiplyAdds: number | null
  /** Most bytes of activations that are alive at once, in the order of the nodes; null when a shape is missing. */
  readonly peakActivations: number | null
  /** What each backend that is installed would do with the model in each precision. */
  readonly preflight: readonly BackendPreflight[]
}

/** An operator of a model, whatever the nodes. */
export type OperatorFacts = {
  readonly operator: string
  readonly domain: string
  readonly count: number
  /** Bytes of the weights that its nodes are the first to read. */
  readonly weightBytes: number
  /** Undefined when a shape is missing, or the operator has no rule. */
  readonly multiplyAdds?: number | undefined
}

/** The shapes that figures were computed from. */
export type ShapeFacts = {
  /** Dims of the inputs, by name. */
  readonly inputs: Readonly<Record<string, readonly number[]>>
  /** Open dims that nothing fixed and that were taken as 1, such as 'x[0] batch'. */
  readonly assumed: readonly string[]
  /** Open dims that nothing fixed, for which there is no good guess. */
  readonly open: readonly string[]
  /** Why there are no shapes. */
  readonly missing?: string
}

/** What a backend would do. */
export type BackendPreflight = {
  readonly backend: BackendName
  /** Its version, or why it is not there. */
  readonly version?: string
  readonly unavailable?: string
  readonly precisions: readonly PrecisionPreflight[]
}

/** What a backend would do in a precision. */
export type PrecisionPreflight = {
  readonly engine: Precision
  /** Why it would refuse the model. */
  readonly refused?: string
  /** What would be lowered and kept; null when the graph stays as it is. Without samples of the user. */
  readonly lowering?: LoweringForecast | null
  /** Why that is not known. */
  readonly unknown?: string
}

/** How many nodes or weights get a precision, and why the others do not. */
export type LoweringForecast = {
  readonly unit: 'nodes' | 'weights'
  readonly total: number
  readonly lowered: number
  readonly kept: readonly { readonly reason: string; readonly count: number }[]
}

/** An engine file by itself: what its first bytes show. */
export type EngineInspection = {
  readonly kind: 'engine'
  readonly file: string
  readonly size: number
  readonly backend: BackendName
  /** Such as 'an ORT format model'. */
  readonly format: string
  /** Facts in the file, such as the version of the library that wrote it. */
  readonly facts: Readonly<Record<string, string>>
  /** The manifest next to it that lists it. */
  readonly manifest?: string
  readonly entry?: VariantInspection
}

/** A manifest, or the models in the output of a build. */
export type BundleInspection = {
  readonly kind: 'bundle'
  readonly path: string
  readonly models: readonly BundledModel[]
  /** Engine files that no model lists. */
  readonly unlisted: readonly string[]
}

/** A model in a bundle. */
export type BundledModel = {
  readonly name: string
  /** The manifest or the chunk that holds it. */
  readonly source: string
  readonly bindings: { readonly inputs: readonly Binding[]; readonly outputs: readonly Binding[] }
  readonly variants: readonly VariantInspection[]
  /** Index of the variant that this machine takes; null when it can run none. */
  readonly taken: number | null
}

/** An engine of a bundle. */
export type VariantInspection = {
  readonly backend: BackendName
  readonly engine: Precision
  readonly file: string
  readonly size: number
  /** Whether it was compared with the fp32 model, or is that. */
  readonly verified: boolean
  readonly requires: Requirements[BackendName]
  /** 'ok', or what is wrong with the file. */
  readonly checksum: string
  /** Why this machine cannot run it. */
  readonly refused?: string
}

// The nouns of the page: what its server sends, as plain data. The page imports types from here and nothing else.
import type { BackendName, Binding, Precision } from '../../runtime/manifest.ts'
import type { LiveEvent } from '../compile/events.ts'

/** A model that the page can show. Its id is the name of the model in requests. */
export type ViewModel = {
  readonly id: string
  readonly name: string
  /** Relative to the root, where it is below it. */
  readonly file: string
  readonly size: number
}

/** The first answer: what there is to see. */
export type Overview = {
  readonly models: readonly ViewModel[]
  /** Whether `/events` follows a build. */
  readonly isLive: boolean
}

/** The graph of a model. Texts are clipped to 300 characters. */
export type GraphView = {
  readonly nodes: readonly NodeView[]
  /** Indexes of nodes, and the value that goes from one to the other. */
  readonly edges: readonly { readonly from: number; readonly to: number; readonly value: string }[]
  readonly inputs: readonly GraphBinding[]
  readonly outputs: readonly GraphBinding[]
  readonly initializers: readonly InitializerView[]
  /** Whether some edges form a cycle, which no valid model has. */
  readonly hasCycle: boolean
}

/** A value that enters or leaves a graph. `dtype` and `dims` are text, such as 'float32' and '[batch, 3]'. */
export type GraphBinding = { readonly name: string; readonly type: string }

/** A node of a graph or of a body. */
export type NodeView = {
  readonly index: number
  readonly name: string
  readonly op: string
  readonly domain: string
  /** From the name, outermost first; bodies of If, Loop and Scan are below the scope of their node. */
  readonly scope: readonly string[]
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: readonly { readonly name: string; readonly value: string }[]
}

/** A weight. */
export type InitializerView = {
  readonly name: string
  readonly dtype: string
  readonly dims: readonly number[]
  readonly bytes: number
}

/** Figures of a weight. */
export type TensorStatistics = {
  readonly count: number
  /** Null when there is no finite value. */
  readonly min: number | null
  readonly max: number | null
  readonly mean: number | null
  readonly zeros: number
  readonly notFinite: number
  /** Counts of finite values in 32 equal bins from min to max. */
  readonly histogram: readonly number[]
  /** Why there are no figures. */
  readonly refused?: string
}

/** An engine of a model. */
export type EngineView = {
  readonly id: string
  /** Where it was found: in the cache of builds, or in the output of one. */
  readonly origin: 'cache' | 'bundle'
  /** The id of the model, where the page shows it; else null. */
  readonly model: string | null
  readonly modelName: string
  readonly query: string
  readonly backend: BackendName
  /** Distinguishes an engine from the backend's others, such as 'portable'; '' when there is one. */
  readonly label: string
  readonly precision: Precision
  readonly file: string
  readonly bytes: number
  readonly facts: readonly { readonly name: string; readonly value: string }[]
  readonly requires: readonly { readonly name: string; readonly value: string }[]
  /** Why it was built or found, such as 'miss: weights changed'. */
  readonly why: string
  readonly verification: readonly OutputFigures[]
  /** Nodes, from first to last, with their share of the error, 0 to 1; null for an infinite one. */
  readonly errorParts: readonly {
    readonly first: string
    readonly last: string
    readonly count: number
    readonly share: number | null
  }[]
  /** Null when it is not known. */
  readonly buildSeconds: number | null
  readonly bench: BenchFigures | null
  /** Why the model's file is no longer what it was made from. */
  readonly stale: string | null
  /** Why this machine cannot run it, and what is wrong with its file. */
  readonly problems: readonly string[]
}

/** How far an output is from the fp32 model. */
export type OutputFigures = {
  readonly output: string
  readonly cosine: number | null
  readonly maxError: number | null
  /** The largest error as a share of the output's largest magnitude. */
  readonly relativeError: number | null
  readonly isWithinLimits: boolean
}

/** What the last bench measured. Times are in milliseconds. */
export type BenchFigures = {
  readonly min: number
  readonly median: number
  readonly p90: number
  readonly p95: number
  readonly p99: number
  readonly max: number
  readonly load: number
  readonly first: number
  /** Bytes. */
  readonly memory: number
  /** Calls per second. */
  readonly throughput: number
  readonly concurrency: number
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly cpu: string
}

/** What happened to a node of the model in an engine. `node` is its index in the GraphView. */
export type NodeFact = {
  readonly node: number
  readonly precision: string
  /** Why it kept its precision. */
  readonly kept?: string
  /** The layer of the engine that it is fused into. */
  readonly layer?: string
  /** Share of the output's error, 0 to 1. */
  readonly error?: number
  /** Share of the time of an inference, 0 to 1. */
  readonly time?: number
}

/** How long nodes take in an engine. */
export type EngineProfile = {
  /** Share of the time of all nodes, 0 to 1. `node` is the index in the GraphView. */
  readonly times: readonly { readonly node: number; readonly time: number }[]
  /** Share of the time that is of nodes in the graph: others were made by the optimiser. */
  readonly named: number
  /** Of all nodes in one inference. */
  readonly milliseconds: number
}

/** What differs between two models or engines, in groups. */
export type Comparison = {
  readonly groups: readonly { readonly title: string; readonly changes: readonly Change[] }[]
}

/** Undefined before: added. Undefined after: removed. */
export type Change = { readonly name: string; readonly before?: string; readonly after?: string }

/** The values of one input: bytes of an image or .npy file in base64, or random numbers. */
export type TryInput =
  | { readonly name: string; readonly kind: 'image' | 'npy'; readonly base64: string }
  | { readonly name: string; readonly kind: 'random'; readonly seed: number }

/** What a model is run with. Dims of open axes, by the name of the input. */
export type TryRequest = {
  readonly inputs: readonly TryInput[]
  readonly dims: Readonly<Record<string, readonly number[]>>
}

/** Outputs of a run. */
export type TryResult = {
  readonly outputs: readonly TryOutput[]
  readonly milliseconds: number
  /** The call as it is written in an app. */
  readonly code: string
}

/** `data` has at most the first 4 MB of values. */
export type TryOutput = {
  readonly name: string
  readonly dtype: string
  readonly dims: readonly number[]
  readonly data: readonly (number | string)[]
  readonly isClipped: boolean
}

/** Bindings of a model that Try fills. */
export type TryBindings = { readonly inputs: readonly Binding[]; readonly outputs: readonly Binding[] }

/** What a build did, and when: milliseconds since the epoch. */
export type LiveLine = { readonly event: LiveEvent; readonly at: number }

/** What the server answers with: each function is one request of the page. The room `data/` implements it. */
export interface ViewData {
  overview(): Promise<Overview>
  graph(model: string): Promise<GraphView>
  statistics(model: string, initializer: string): Promise<TensorStatistics>
  engines(): Promise<readonly EngineView[]>
  nodes(engine: string): Promise<readonly NodeFact[]>
  /** Runs an engine to measure its nodes. */
  profile(engine: string): Promise<EngineProfile>
  /** Ids of two models or of two engines. */
  compare(a: string, b: string): Promise<Comparison>
  bindings(model: string): Promise<TryBindings>
  /** `target` is the id of an engine or of a model. */
  run(target: string, request: TryRequest): Promise<TryResult>
}

// The nouns of bench, all of them plain data: what its processes exchange, and the report that a terminal, a file and a
// page show.
import type { BackendName, Bindings, ModelManifest, Precision } from '../../runtime/manifest.ts'
import type { LoadOptions } from '../../runtime/options.ts'
import type { Amount } from './measure-calls.ts'
import type { Latency } from './statistics.ts'

/** An engine, opened as an app does. */
export type ManifestOpponent = { readonly manifest: ModelManifest; readonly options: LoadOptions }

/** What a process opens: one engine as an app does, or a model with the plain library. */
export type Opponent =
  | ManifestOpponent
  | { readonly onnx: string; readonly module: string; readonly threads: number | undefined }

/** A measurement of one opponent in its process. `open` comes first. */
export type EngineRequest =
  | { readonly what: 'open'; readonly opponent: Opponent; readonly inputs: string }
  | ({ readonly what: 'calls'; readonly callers: number } & Amount)
  | { readonly what: 'delay' | 'gpu'; readonly callers: number; readonly calls: number }
  | { readonly what: 'memory' }

/** Milliseconds from the request to an opened engine, and of its first inference. */
export interface OpenTimes {
  readonly load: number
  readonly first: number
}

/** What a row measures. `backend` is 'onnxruntime-node' for the plain library, and 'any' if no backend was made. */
export type RowName = {
  readonly engine: Precision
  readonly backend: BackendName | 'onnxruntime-node' | 'any'
  /** Distinguishes an engine from the backend's others, such as 'portable'; '' when there is one. */
  readonly label: string
  /** Callers at once. */
  readonly concurrency: number
}

/** How far the outputs of an engine are from those of the fp32 model, at the worst output. */
export type Accuracy = { readonly maxAbs: number | null; readonly cosine: number }

/** Times of the copies of the inputs, of the engine and of the copies of the outputs, by the clock of the GPU. */
export type GpuLatency = {
  readonly hostToDevice: Latency
  readonly compute: Latency
  readonly deviceToHost: Latency
}

/** The figures of a row. Times are in milliseconds unless they say otherwise. */
export type RowFigures = {
  readonly size: number
  /** How the engine was made; null for an engine that was made before, and for the plain library. */
  readonly build: { readonly seconds: number; readonly hit: boolean } | null
  readonly accuracy: Accuracy | null
  readonly load: number
  readonly first: number
  readonly latency: Latency
  /** Calls per second. */
  readonly throughput: number
  /** Most bytes that the engine's process took, whatever the concurrency. */
  readonly memory: number
  /** How late a timer fires while the engine runs: 99th percentile. */
  readonly loopDelay: number
  /** What a GPU does in a call; null for engines that run elsewhere, or why it could not be timed. */
  readonly gpu: GpuLatency | { readonly failed: string } | null
  /** The median of each round: how much they differ shows how much the machine disturbs. */
  readonly rounds: readonly number[]
}

/** A row that was measured, or why it was not. */
export type BenchRow = RowName & (RowFigures | { readonly failed: string })

/** What bench writes as JSON. */
export type BenchReport = {
  readonly schema: 1
  readonly model: string
  readonly machine: {
    readonly cpu: string
    readonly threads: number
    readonly platform: string
    readonly arch: string
    readonly node: string
  }
  readonly inputs: {
    /** Where their values came from, in words. */
    readonly origin: string
    readonly tensors: readonly { readonly name: string; readonly dtype: string; readonly dims: readonly number[] }[]
  }
  readonly rows: readonly BenchRow[]
}

/** Where the values of the inputs come from: drawn, all zero, or samples of the user. */
export type InputOrigin = 'random' | 'zeros' | { readonly samples: string }

/** The model of all rows, for drawing inputs. */
export interface InputModel {
  readonly name: string
  /** The .onnx file, which shows the ranges of inputs; '' when there is none. */
  readonly file: string
  readonly bindings: Bindings
}

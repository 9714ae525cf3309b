import type { BackendName, ManifestServer, Precision, Requirements, Bindings } from '../../runtime/manifest.ts'
import type { Layer } from '../backend/layers.ts'
import type { Artifact } from '../cache/artifact.ts'
import type { Gain } from '../verify/gain.ts'
import type { EngineReport } from '../verify/report.ts'
import type { PrecisionSearch } from './search-pins.ts'

/** One compiled engine of a model. */
export interface Variant<B extends BackendName = BackendName> {
  readonly backend: B
  readonly engine: Precision
  /** Distinguishes this engine from the backend's others, such as 'portable'; '' when there is one. */
  readonly label: string
  /** File extension of the raw engine, with the dot. */
  readonly extension: string
  readonly artifact: Artifact
  readonly requires: Requirements[B]
  /** How far the outputs are from those of the fp32 model, and what was lowered; null for ONNX Runtime in fp32. */
  readonly report: EngineReport | null
  /** What int8 gains over fp32 on this machine: of an engine of int8, or of the one of fp32 that replaces it. */
  readonly gain?: Gain
  /** What was tried to find the nodes that stay in fp32, where the build searched. */
  readonly search?: PrecisionSearch
  /** Whether it was compared with the fp32 model on ONNX Runtime, or is that. */
  readonly verified: boolean
  /** The layers of the engine, where its compiler lists them: TensorRT with `profilingVerbosity: 'detailed'`. */
  readonly layers?: readonly Layer[]
  /** What the cache did: `reason` is 'hit', 'miss: new', 'miss: weights changed', ... */
  readonly cache: { readonly hit: boolean; readonly reason: string; readonly seconds: number }
}

/** What a compilation of one model gives: the bindings and the variants in order of preference. */
export interface Compiled {
  /** Base name of the model file without '.onnx'. */
  readonly name: string
  readonly bindings: Bindings
  readonly variants: readonly Variant[]
  /** The server that the options name, where the output can call it. */
  readonly server?: ManifestServer
  /** Absolute paths of all files that the model consists of: the .onnx file and its external data. */
  readonly files: readonly string[]
}

import type { BackendName, Precision } from '../runtime/manifest.ts'

/** Dims by input name. */
export type Shapes = Readonly<Record<string, readonly number[]>>

/** An optimization profile: bounds of every dynamic input. */
export interface Profile {
  readonly min: Shapes
  readonly opt: Shapes
  readonly max: Shapes
}

/** All that decides how one model is compiled, defaults filled in. */
export interface CompileOptions {
  readonly engine: Precision
  /** In order of preference; 'auto' is every backend whose library is found, the CPU last. */
  readonly backends: readonly BackendName[] | 'auto'
  /** Compute capabilities such as 'sm86', sorted; empty means the backend's default list. */
  readonly targets: readonly string[]
  /** Fixed dims; an input that is not listed keeps its dynamic dims. */
  readonly shapes: Shapes
  readonly profiles: readonly Profile[]
}

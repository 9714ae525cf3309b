import type { BackendName, Requirements } from '../../runtime/manifest.ts'
import type { Facts } from '../cache/key.ts'
import type { Model } from '../onnx/model.ts'
import type { CompileOptions, ProbeOptions } from '../options/schema.ts'
import type { KnownWrong } from './known-wrong.ts'

// A backend compiles models into engines with one library. Each has a folder here: backend.ts looks for the library
// and plans the engines, compile.ts makes one in a child process, and probe.ts, where there is one, opens the library
// in a child process to ask for its version. The registry is plugin/compile/backends.ts.

/** The result of looking for a backend's library; `Detail` is what the backend's own plan needs of it. */
export type Probe<Detail = unknown> = Available<Detail> | Unavailable

export interface Available<Detail = unknown> {
  readonly available: true
  readonly version: string
  readonly detail: Detail
}

export interface Unavailable {
  readonly available: false
  readonly reason: string
  /** Every place that was searched. Shown, like the hint, only when the user asked for this backend. */
  readonly tried?: string
  readonly hint?: string
}

/**
 * What an engine's precision does to the graph: `none` leaves it as it is, for fp32 and for a backend that computes in
 * the precision by itself; `storage` stores weights in the precision and computes in fp32; `compute` computes in it.
 */
export type Lowering = 'none' | 'storage' | 'compute'

/** All facts about one engine before its compilation starts. Pure data, so that tests of keys need no compiler. */
export interface BuildPlan<B extends BackendName = BackendName> {
  /** Distinguishes the engine from the backend's others, such as 'portable'; '' when there is only one. */
  readonly label: string
  /** File extension of the raw engine, with the dot. */
  readonly extension: string
  /** Everything that decides the engine's bytes besides the graph itself: the engine facts of the key. */
  readonly facts: Facts
  readonly requires: Requirements[B]
  readonly lowering: Lowering
  /** Whether dims that the options fix are written into the graph first, because the backend cannot fix them itself. */
  readonly fixDims?: boolean
  /** Whether the graph is made simpler first, because the compiler refuses or mistakes what ONNX Runtime takes. */
  readonly simplify?: boolean
  /** Module that the child process loads; it exports `run: ChildTask`. */
  readonly worker: URL
  /** Structured-cloneable settings for the worker. */
  readonly settings: Readonly<Record<string, unknown>>
  /**
   * The machine that compiles the engine, in words, if this one cannot: it is in the cache, or the build fails with
   * NOT_CACHED.
   */
  readonly elsewhere?: string
  /** Lines that the user should see once, such as a fallback of the device. */
  readonly notes?: readonly string[]
}

/** One engine compiler. A plain object; heavy dependencies are loaded inside its functions. */
export interface Backend<B extends BackendName = BackendName, Detail = unknown> {
  readonly name: B
  /** Whether its engines have the defaults of optional inputs compiled in, instead of taking them as inputs. */
  readonly fixesOptionalInputs?: true
  /**
   * Looks for the library without loading anything that could crash this process. Never throws for an absent library.
   */
  probe(options: ProbeOptions, root: string): Promise<Probe<Detail>>
  /**
   * The engines to make, in order of preference.
   *
   * @throws OnnxEngineError PRECISION_UNSUPPORTED, SHAPE_INVALID, MODEL_UNSUPPORTED, BACKEND_UNAVAILABLE or
   *   OPTION_INVALID when this backend cannot compile the model with these options
   */
  plan(model: Model, options: CompileOptions, found: Available<Detail>): readonly BuildPlan<B>[]
  /** Loads the table of what the compiler computes wrong, for models that no cache has. */
  knownWrong?(): Promise<readonly KnownWrong[]>
}

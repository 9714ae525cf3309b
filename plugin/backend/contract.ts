import type { BackendName, Requirements } from '../../runtime/manifest.ts'
import type { Facts } from '../cache/key.ts'
import type { Model } from '../onnx/model.ts'
import type { CompileOptions } from '../options/resolve.ts'

/** What a look for a backend's library found. */
export type Probe =
  | { readonly available: true; readonly version: string; readonly detail: Readonly<Record<string, unknown>> }
  | {
      readonly available: false
      readonly reason: string
      /** Every place that was looked at. Told, like the hint, only when the user asked for this backend. */
      readonly tried?: string
      readonly hint?: string
    }

/**
 * What an engine's precision asks of the graph: `none` leaves it as it is, for fp32 and for a backend that computes in
 * the precision by itself; `storage` stores weights in the precision and computes in fp32; `compute` computes in it.
 */
export type Lowering = 'none' | 'storage' | 'compute'

/**
 * Everything that is known of one engine before its compilation starts. Pure data, so that keys can be tested without a
 * compiler.
 */
export interface BuildPlan<B extends BackendName = BackendName> {
  /** What tells this engine from the backend's others, such as 'portable'; '' when there is one. */
  readonly label: string
  /** File extension of the raw engine, with the dot. */
  readonly extension: string
  /** All that decides the engine's bytes besides the graph itself: the K2 or K5 part of the key. */
  readonly facts: Facts
  readonly requires: Requirements[B]
  readonly lowering: Lowering
  /** Whether dims that the options fix are written into the graph first, because the backend itself cannot fix them. */
  readonly fixDims?: boolean
  /** Module that the child process loads; it exports `compile: CompileInChild`. */
  readonly worker: URL
  /** Structured-cloneable settings for the worker. */
  readonly settings: Readonly<Record<string, unknown>>
  /** Lines that the user should see once, such as a fallback of the device. */
  readonly notes?: readonly string[]
}

/** One engine compiler. A plain object; heavy dependencies are loaded inside its functions. */
export interface Backend<B extends BackendName = BackendName> {
  readonly name: B
  /**
   * Looks for the library without loading anything that could crash this process. Never throws for an absent library.
   */
  probe(options: CompileOptions, root: string): Promise<Probe>
  /**
   * The engines to make, in order of preference. Throws OnnxEngineError (PRECISION_UNSUPPORTED, SHAPE_INVALID,
   * OPTION_INVALID) when the model or options cannot be compiled by this backend.
   */
  plan(model: Model, options: CompileOptions, probe: Extract<Probe, { available: true }>): readonly BuildPlan<B>[]
}

import type { BackendName, Bindings } from '../../runtime/manifest.ts'
import type { Lowering } from '../backend/contract.ts'
import type { Pass } from '../cache/key.ts'
import type { EditableModel } from '../onnx/graph.ts'
import type { SampleRequest } from '../samples/request.ts'

/** One engine of one model that a pass lowers. */
export interface PassRequest extends SampleRequest {
  readonly backend: BackendName
  /** Distinguishes the engine from the backend's others, such as 'portable'. */
  readonly label: string
  readonly lowering: Lowering
  /** The bindings to simplify the graph for first; undefined when it stays as it is. */
  readonly simplify?: Bindings | undefined
  readonly log: (line: string) => void
  readonly warn: (line: string) => void
}

/** A node or a weight that stays in fp32, and why. */
export type Kept = {
  /** Its name; of a node without one, that of its first output. */
  readonly name: string
  /** 'initializer' for a weight. */
  readonly operator: string
  readonly reason: string
}

/** What a pass did to a graph. A type, not an interface: it is kept with the engine as JSON. */
export type Lowered = {
  /** What is counted: nodes that compute in floating point, or weights of more than a few numbers. */
  readonly unit: 'nodes' | 'weights'
  readonly total: number
  /** How many of them have the new precision. */
  readonly lowered: number
  /** Their names, which the option `precision.fp32` takes; undefined where a pass cannot leave single ones out. */
  readonly changed?: readonly string[]
  readonly kept: readonly Kept[]
  /** Lines that the user should see, such as that ranges are unknown without samples. */
  readonly notes: readonly string[]
}

/** A way to give a graph another precision. A plain object; heavy dependencies are loaded inside its functions. */
export interface PrecisionPass {
  /**
   * What goes into the key: all that decides the new graph besides the source, samples by their digest. Asked on every
   * build, hits included, so it does not run the model. Throws PRECISION_UNSUPPORTED or OPTION_INVALID for what cannot
   * work.
   */
  describe(request: PassRequest): Promise<Pass> | Pass
  /** Changes the graph in place, or throws PRECISION_UNSUPPORTED. `graph` was read from `request.model.file`. */
  lower(graph: EditableModel, request: PassRequest): Promise<Lowered>
  /**
   * What `lower` would change, for a pass that needs samples. The graph may be changed, and is of no use afterwards.
   */
  forecast?(graph: EditableModel, request: PassRequest): Promise<Lowered>
}

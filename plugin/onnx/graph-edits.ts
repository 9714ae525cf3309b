/** What an import takes of a graph. */
export interface GraphEdits {
  /** The outputs that stay, in the order of the graph; empty: all. */
  readonly outputs: readonly string[]
  /** Initializers that become inputs: their values come with each call. */
  readonly inputs: readonly string[]
}

/** Raised when the same edits give another graph. */
export const editsVersion = 1

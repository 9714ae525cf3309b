/** Backends whose operators are tested. */
export type TestedBackend = 'openvino' | 'onnxruntime'

/** What became of one case: a model of one or a few nodes, with inputs and the outputs that ONNX expects. */
export interface Outcome {
  readonly name: string
  /** The operators of the model, without repetitions; a local function counts as one. */
  readonly operators: readonly string[]
  /**
   * - `right`: the build accepts it, and the outputs are those that ONNX expects;
   * - `refused`: the build, or the call with these inputs, ends with an error;
   * - `wrong`: it runs, and the outputs are others.
   */
  readonly result: 'right' | 'refused' | 'wrong'
  /** Of a refusal: which step ended it. */
  readonly step?: 'read' | 'plan' | 'compile' | 'compare' | 'open' | 'call'
  /** Code and text of the error, or how the outputs differ. */
  readonly reason?: string
}

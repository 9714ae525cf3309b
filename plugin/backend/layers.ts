/** A tensor that a layer reads or writes. A type, not an interface: it is kept as JSON. */
export type LayerTensor = {
  readonly name: string
  readonly dtype: string
  readonly dims: string
  readonly format: string
}

/** A layer of an engine, as its builder describes it. */
export type Layer = {
  readonly name: string
  readonly kind: string
  /** Empty where the kernel is chosen, or compiled, on the user's GPU. */
  readonly tactic: string
  readonly inputs: readonly LayerTensor[]
  readonly outputs: readonly LayerTensor[]
  /** The ONNX nodes that became this layer. */
  readonly nodes: readonly string[]
}

/** Where a compiler lists the layers of an engine, next to it. */
export function layersFile(engine: string): string {
  return `${engine}.layers.json`
}

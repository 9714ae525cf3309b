import type { ModelSpec, NodeSpec, TensorSpec } from '../support/models.ts'

/** A model of an operator that a compiler refuses, and what its inputs are filled with if not with random floats. */
export interface OperatorCase {
  readonly name: string
  readonly model: ModelSpec
  readonly feeds?: Readonly<Record<string, readonly number[]>>
  /** What TensorRT-RTX 1.7 says against the model as it is; undefined if it builds. */
  readonly refusal?: RegExp
}

let seed = 1

/** Numbers from -1 to 1 that look random and are the same in each run. */
export function noise(count: number, factor = 1): number[] {
  return Array.from({ length: count }, () => {
    seed = (seed * 48_271) % 2_147_483_647
    return (2 * (seed / 2_147_483_647) - 1) * factor
  })
}

export function floats(...dims: number[]): TensorSpec {
  return { dtype: 'float32', dims, data: noise(size(dims), 0.4) }
}

export function bytes(dtype: 'uint8' | 'int8', ...dims: number[]): TensorSpec {
  return { dtype, dims, data: Uint8Array.from(noise(size(dims), 128), (value) => Math.floor(value) & 255) }
}

export function one(dtype: 'uint8' | 'int8', value: number): TensorSpec {
  return { dtype, dims: [], data: Uint8Array.of(value) }
}

export function step(value: number): TensorSpec {
  return { dtype: 'float32', dims: [], data: [value] }
}

export function int64(...data: number[]): TensorSpec {
  return { dtype: 'int64', dims: [data.length], data }
}

export function size(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1)
}

export function ms(op: string, inputs: string[], outputs: string[], attributes: NodeSpec['attributes'] = {}): NodeSpec {
  return { op, domain: 'com.microsoft', inputs, outputs, attributes }
}

/** One model of all of them, side by side. */
export function merged(cases: readonly OperatorCase[]): ModelSpec {
  const parts = cases.map(({ model }, index) => prefixed(model, `${index} `))
  const join = <K extends 'inputs' | 'outputs' | 'initializers' | 'opsets'>(key: K) =>
    Object.assign({}, ...parts.map((part) => part[key])) as NonNullable<ModelSpec[K]>
  return {
    opset: cases[0]?.model.opset ?? 17,
    irVersion: 10,
    opsets: join('opsets'),
    inputs: join('inputs'),
    outputs: join('outputs'),
    initializers: join('initializers'),
    nodes: parts.flatMap(({ nodes }) => nodes),
  }
}

function prefixed(model: ModelSpec, prefix: string): ModelSpec {
  const names = (values: readonly string[]) => values.map((name) => (name === '' ? '' : prefix + name))
  const keys = <T>(values: Readonly<Record<string, T>> = {}) =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [prefix + name, value]))
  return {
    ...model,
    inputs: keys(model.inputs),
    outputs: keys(model.outputs),
    initializers: keys(model.initializers),
    nodes: model.nodes.map((node) => ({ ...node, inputs: names(node.inputs), outputs: names(node.outputs) })),
  }
}

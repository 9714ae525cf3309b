import type { Bindings, Dim } from '../manifest.ts'

/** What the dims of outputs are before a run, as far as the bindings and earlier runs tell. */
export interface OutputDims {
  /** By output: its dims, given those of the inputs, or null when they are not known. */
  expect(inputs: readonly (readonly number[])[]): readonly (readonly number[] | null)[]
  /** Compares the dims of a run with what was to be expected of it. */
  learn(inputs: readonly (readonly number[])[], outputs: readonly (readonly number[])[]): void
}

type ReadDim = (inputs: readonly (readonly number[])[]) => number

/**
 * Outputs of which each dim is a number, or has the name of an input's dim. The declared dims of a model may be wrong,
 * and ONNX Runtime then has to run it again: so an output counts as known once a run has confirmed it, and never after
 * one that has not.
 */
export function createOutputDims({ inputs, outputs }: Bindings): OutputDims {
  const rules = outputs.map(({ dims }) => dims?.map((dim) => readerOf(dim, inputs)))
  const states: ('unproven' | 'proven' | 'wrong')[] = rules.map((rule) =>
    rule?.every((read) => read !== undefined) ? 'unproven' : 'wrong',
  )
  const compute = (index: number, given: readonly (readonly number[])[]) =>
    rules[index]?.map((read) => read?.(given) ?? -1) ?? []

  return {
    expect: (given) => states.map((state, index) => (state === 'proven' ? compute(index, given) : null)),
    learn(given, actual) {
      for (const [index, state] of states.entries()) {
        if (state === 'wrong') continue
        const expected = compute(index, given)
        const dims = actual[index] ?? []
        const same = dims.length === expected.length && dims.every((dim, axis) => dim === expected[axis])
        states[index] = same ? 'proven' : 'wrong'
      }
    },
  }
}

function readerOf(dim: Dim, inputs: Bindings['inputs']): ReadDim | undefined {
  if (dim === null) return undefined
  if (typeof dim === 'number') return () => dim
  for (const [index, { dims }] of inputs.entries()) {
    const axis = dims?.indexOf(dim) ?? -1
    if (axis >= 0) return (given) => given[index]?.[axis] ?? -1
  }
  return undefined
}

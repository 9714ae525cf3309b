import type { Binding, Bindings, Dim } from '../../runtime/manifest.ts'
import type { Shapes } from '../options.ts'

/**
 * The bindings of a model whose inputs are fixed to these dims. A named dim that is fixed somewhere is fixed wherever
 * the name stands, outputs included; other dims of outputs stay as they were, since only running the graph tells them.
 */
export function fixBindings({ inputs, outputs }: Bindings, shapes: Shapes): Bindings {
  const named = namedDims(inputs, shapes)
  const fix = ({ dims, ...binding }: Binding): Binding => ({
    ...binding,
    dims: dims && dims.map((dim): Dim => (typeof dim === 'string' ? (named.get(dim) ?? dim) : dim)),
  })
  return {
    inputs: inputs.map((input) =>
      Object.hasOwn(shapes, input.name) ? { ...input, dims: shapes[input.name] ?? null } : fix(input),
    ),
    outputs: outputs.map(fix),
  }
}

/** The values that fixed shapes give to the named dims of a model's inputs. */
export function namedDims(inputs: readonly Binding[], shapes: Shapes): ReadonlyMap<string, number> {
  const named = new Map<string, number>()
  for (const { name, dims } of inputs) {
    const fixed = Object.hasOwn(shapes, name) ? shapes[name] : undefined
    dims?.forEach((dim, axis) => {
      const value = fixed?.[axis]
      if (typeof dim === 'string' && value !== undefined) named.set(dim, value)
    })
  }
  return named
}

/** Whether the shapes fix a dim that the model leaves open. */
export function fixesDims(inputs: readonly Binding[], shapes: Shapes): boolean {
  return inputs.some(
    ({ name, dims }) => Object.hasOwn(shapes, name) && (dims === null || dims.some((dim) => typeof dim !== 'number')),
  )
}

import type { DType } from '../../runtime/dtype.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Bindings, Binding, Dim } from '../../runtime/manifest.ts'
import type { CompileOptions } from './schema.ts'
import type { Shapes, IoPrecision } from './types.ts'

/**
 * The bindings of a model whose inputs are fixed to these dims. A named dim that is fixed in one place is fixed
 * everywhere, outputs included. Other dims of outputs stay as they were, since only running the graph shows them.
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

/**
 * The bindings of a model whose dims of one name may differ: an input dim is unknown where its name occurs more than
 * once.
 */
export function looseBindings({ inputs, outputs }: Bindings): Bindings {
  const seen = new Set<Dim>()
  const repeated = new Set<Dim>()
  for (const dim of inputs.flatMap(({ dims }) => dims ?? [])) (seen.has(dim) ? repeated : seen).add(dim)
  const loosen = (dim: Dim): Dim => (typeof dim === 'string' && repeated.has(dim) ? null : dim)
  return { inputs: inputs.map(({ dims, ...input }) => ({ ...input, dims: dims && dims.map(loosen) })), outputs }
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

/** The dtype that each float32 input and output of a model gets. */
export const ioDTypes = { fp32: 'float32', fp16: 'float16', bf16: 'bfloat16' } as const satisfies Record<
  IoPrecision,
  DType
>

/** The bindings of an engine: those of its model, with the dims and dtypes of the options. */
export function engineBindings(
  bindings: Bindings,
  { shapes, io }: { readonly shapes: Shapes; readonly io: IoPrecision },
): Bindings {
  const cast = (binding: Binding): Binding =>
    binding.dtype === 'float32' ? { ...binding, dtype: ioDTypes[io] } : binding
  const { inputs, outputs } = fixBindings(bindings, shapes)
  return { inputs: inputs.map(cast), outputs: outputs.map(cast) }
}

/**
 * Rejects inputs and outputs of 16 bits for an engine of another precision: it computes in fp32, so they would only be
 * rounded.
 *
 * @throws OnnxEngineError PRECISION_UNSUPPORTED
 */
export function checkIo({ engine, precision: { io } }: CompileOptions, name: string): void {
  if (io === 'fp32' || io === engine) return
  throw new OnnxEngineError('PRECISION_UNSUPPORTED', `${name}: io=${io}`, {
    expected: `engine=${io}, or inputs and outputs as the model has them`,
    received: `engine=${engine}`,
    hint: `Import the model with ?engine=${io}&io=${io}, or leave io out of the query and of the option 'precision.io'`,
  })
}

/**
 * Rejects options that change the dtype or the dims of an input with a default, which stays as the model has it.
 *
 * @throws OnnxEngineError OPTION_INVALID
 */
export function checkDefaults(
  bindings: Bindings,
  options: Pick<CompileOptions, 'shapes' | 'precision'>,
  name: string,
): void {
  const { inputs } = engineBindings(bindings, { shapes: options.shapes, io: options.precision.io })
  for (const [index, input] of inputs.entries()) {
    const value = input.default
    if (!value) continue
    const own = bindings.inputs[index]?.dtype
    const fits =
      input.dtype === own &&
      (input.dims?.every((dim, axis) => typeof dim !== 'number' || dim === value.dims[axis]) ?? true)
    if (fits) continue
    throw new OnnxEngineError('OPTION_INVALID', `model '${name}': optionalInputs, input '${input.name}'`, {
      expected: `${own}[${value.dims.join(', ')}], as its default is`,
      received: `${input.dtype}[${input.dims?.join(', ') ?? '...'}] by the options 'shapes' or 'precision.io'`,
      hint: "Leave the input out of 'optionalInputs', or remove the other option",
    })
  }
}

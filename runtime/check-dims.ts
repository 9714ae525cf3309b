import { OnnxEngineError } from './errors.ts'
import type { Binding } from './manifest.ts'
import { describeValue, listText, quote } from './text.ts'

/** The size of each named dim and the input that set it, so that an error names both inputs that disagree. */
export type NamedDims = Map<string, { readonly size: number; readonly input: string }>

/** An input of the model, with its texts for messages. */
export interface ExpectedInput {
  readonly subject: string
  readonly binding: Binding
  /** The binding as declarations print it. */
  readonly text: string
}

// No model has so many dims: an array of more is a mistake, and reading it could take forever.
const mostDims = 256

/**
 * The dims that a caller gave for an input, checked against the binding and against the named dims of other inputs.
 * Without `named`, dims of one name may differ. Throws INPUT_INVALID.
 */
export function checkDims(input: ExpectedInput, dims: unknown, named: NamedDims | undefined): readonly number[] {
  const { subject, binding, text } = input
  const given = countsOf(subject, dims)
  if (!binding.dims) return given
  if (given.length !== binding.dims.length)
    throw new OnnxEngineError('INPUT_INVALID', subject, {
      expected: `${binding.dims.length} dims for ${text}`,
      received: `${given.length}: ${listText(given)}`,
    })
  for (const [axis, dim] of binding.dims.entries()) {
    const size = given[axis] ?? 0
    if (typeof dim === 'number' && dim !== size)
      throw new OnnxEngineError('INPUT_INVALID', subject, {
        expected: `${dim} at dim ${axis} of ${text}`,
        received: `${size}`,
      })
    if (typeof dim === 'string' && named) checkNamedDim(input, named, { dim, axis, size })
  }
  return given
}

function checkNamedDim(
  { subject, binding }: ExpectedInput,
  named: NamedDims,
  { dim, axis, size }: { readonly dim: string; readonly axis: number; readonly size: number },
): void {
  const first = named.get(dim)
  if (!first) named.set(dim, { size, input: binding.name })
  if (!first || first.size === size) return
  const reason = `${quote(dim)} is ${first.size} in input ${quote(first.input)}`
  throw new OnnxEngineError('INPUT_INVALID', subject, {
    expected: `${first.size} at dim ${axis}, because ${reason}`,
    received: `${size}`,
    hint: `If the model uses one name for dims that may differ, set the option dims: 'loose' for it.`,
  })
}

// A copy, because the caller may change its own array. By index, because iterators can be overridden.
function countsOf(subject: string, dims: unknown): readonly number[] {
  const expected = 'dims as an array of whole numbers from 0'
  if (!Array.isArray(dims))
    throw new OnnxEngineError('INPUT_INVALID', subject, { expected, received: describeValue(dims) })
  if (dims.length > mostDims)
    throw new OnnxEngineError('INPUT_INVALID', subject, { expected, received: describeValue(dims) })
  const given = Array.from({ length: dims.length }, (_, index): unknown => dims[index])
  if (given.every(isCount)) return given
  throw new OnnxEngineError('INPUT_INVALID', subject, { expected, received: listText(given) })
}

function isCount(dim: unknown): dim is number {
  return Number.isSafeInteger(dim) && Number(dim) >= 0
}

import { arrayTag, conversionHint, extentOf, isDetached, plainView } from './array-views.ts'
import { checkDims, type ExpectedInput, type NamedDims } from './check-dims.ts'
import { dtypes, elementCount, type DType } from './dtype.ts'
import { OnnxEngineError, refuseUnreadable, type ErrorDetails } from './errors.ts'
import type { Binding, DimsCheck } from './manifest.ts'
import type { CheckedTensor } from './session.ts'
import { bareName, describeValue, didYouMean, listText, modelSubject, quote, withArticle } from './text.ts'

/** One input as the caller passed it, before its parts are checked. */
interface RawInput {
  readonly data: unknown
  readonly dims: unknown
  readonly dtype: unknown
}

/**
 * A function that checks the inputs of infer() against the bindings before anything is copied. It throws INPUT_INVALID
 * that names the model and the binding. Dims of its result are resolved, and its data covers exactly their product.
 * Optional inputs that were left out are not in the result. With `loose`, dims of one name may differ.
 */
export function inputCheck(
  model: string,
  bindings: readonly Binding[],
  dimsCheck: DimsCheck = 'named',
): (inputs: unknown) => Map<string, CheckedTensor> {
  const place = { code: 'INPUT_INVALID', subject: inputsSubject(model), expected: 'inputs that can be read' } as const
  const names = new Set(bindings.map(({ name }) => name))
  // Its texts are made once: a call of a small model takes microseconds.
  let expected: readonly ExpectedInput[] | undefined
  return (inputs) =>
    refuseUnreadable(place, () => {
      checkNames({ model, bindings, names }, inputs)
      const record = inputs as Readonly<Record<string, unknown>>
      const named: NamedDims | undefined = dimsCheck === 'named' ? new Map() : undefined
      const checked = new Map<string, CheckedTensor>()
      expected ??= bindings.map((binding) => expectedInput(model, binding))
      for (const input of expected) {
        const { name, optional } = input.binding
        // Own properties only: a binding may be called `toString` or `__proto__`.
        const value = Object.hasOwn(record, name) ? record[name] : undefined
        if (value === undefined && optional) continue
        checked.set(name, checkInput(input, value, named))
      }
      return checked
    })
}

/** Checks inputs once; see `inputCheck`. */
export function checkInputs(model: string, bindings: readonly Binding[], inputs: unknown): Map<string, CheckedTensor> {
  return inputCheck(model, bindings)(inputs)
}

/** A binding's type as declarations print it: `float32[batch,3,?]`; `float32` alone when the rank itself is unknown. */
export function bindingText({ dtype, dims }: Binding): string {
  return dims ? `${dtype}[${dims.map(dimText).join(',')}]` : dtype
}

// Named dims are identifiers in most models, but may be any text.
function dimText(dim: number | string | null): string {
  return typeof dim === 'string' ? bareName(dim) : String(dim ?? '?')
}

function inputsSubject(model: string): string {
  return `${modelSubject(model)}, inputs of infer()`
}

function expectedInput(model: string, binding: Binding): ExpectedInput {
  return { binding, text: bindingText(binding), subject: `${modelSubject(model)}, input ${quote(binding.name)}` }
}

interface Expected {
  readonly model: string
  readonly bindings: readonly Binding[]
  readonly names: ReadonlySet<string>
}

function checkNames({ model, bindings, names }: Expected, inputs: unknown): void {
  if (
    typeof inputs !== 'object' ||
    inputs === null ||
    Array.isArray(inputs) ||
    ArrayBuffer.isView(inputs) ||
    inputs instanceof Map
  )
    throw inputInvalid(inputsSubject(model), {
      expected: `an object with ${bindingTexts(bindings)}`,
      received: describeValue(inputs),
    })
  const unknown = Object.keys(inputs).find((name) => !names.has(name))
  if (unknown === undefined) return
  throw inputInvalid(`${modelSubject(model)}, input ${quote(unknown)}`, {
    expected: bindingTexts(bindings),
    received: 'an unknown name',
    hint: didYouMean(unknown, names),
  })
}

function checkInput(input: ExpectedInput, value: unknown, named: NamedDims | undefined): CheckedTensor {
  const { subject, binding } = input
  const raw = rawInputOf(input, value)
  if (raw.dtype !== undefined && raw.dtype !== binding.dtype)
    throw inputInvalid(subject, { expected: `dtype ${binding.dtype}`, received: `dtype ${describeValue(raw.dtype)}` })
  const dims = checkDims(input, raw.dims, named)
  const length = elementCount(dims)
  if (!Number.isSafeInteger(length))
    throw inputInvalid(subject, { expected: 'dims whose product can be counted', received: `dims ${listText(dims)}` })
  const size: DataSize = { length, dims }
  const data = binding.dtype === 'string' ? checkStrings(subject, raw.data, size) : checkArray(input, raw.data, size)
  return { dtype: binding.dtype, dims, data }
}

// A typed array alone (an array of strings for a string input) is enough when every dim is static.
function rawInputOf({ subject, binding, text }: ExpectedInput, value: unknown): RawInput {
  if (value === undefined || value === null) throw inputInvalid(subject, { expected: text, received: 'nothing' })
  if (ArrayBuffer.isView(value) || Array.isArray(value)) {
    const dims = binding.dims?.every((dim) => typeof dim === 'number') ? binding.dims : undefined
    if (dims) return { data: value, dims, dtype: undefined }
    const hint = 'A plain array is accepted only when every dim is static.'
    throw inputInvalid(subject, { expected: pairOf(text), received: describeValue(value), hint })
  }
  if (typeof value !== 'object' || !('data' in value) || !('dims' in value))
    throw inputInvalid(subject, { expected: pairOf(text), received: describeValue(value) })
  return { data: value.data, dims: value.dims, dtype: 'dtype' in value ? value.dtype : undefined }
}

function pairOf(text: string): string {
  return `{ data, dims } for ${text}`
}

/** How many elements the data must have: the product of its dims. */
interface DataSize {
  readonly length: number
  readonly dims: readonly number[]
}

function sizeText({ length, dims }: DataSize): string {
  return `${length} elements for dims ${listText(dims)}`
}

// Other array types with the same elements.
const alsoAccepted: { readonly [D in DType]?: string } = {
  uint8: 'Uint8ClampedArray',
  float16: 'Float16Array',
  bfloat16: 'Uint16Array',
}

function checkArray({ subject, binding, text }: ExpectedInput, data: unknown, size: DataSize): ArrayBufferView {
  const { array } = dtypes[binding.dtype]
  const tag = arrayTag(data)
  if (tag === undefined || (tag !== array && tag !== alsoAccepted[binding.dtype]))
    throw inputInvalid(subject, {
      expected: `${withArticle(array)} for ${text}`,
      received: describeValue(data),
      hint: conversionHint(binding.dtype, data, size.length),
    })
  const extent = extentOf(data)
  if (extent.length === size.length) return plainView(binding.dtype, extent)
  const hint = isDetached(extent)
    ? 'The array is detached: its buffer was transferred elsewhere, so pass a new one.'
    : undefined
  throw inputInvalid(subject, { expected: sizeText(size), received: `${extent.length}`, hint })
}

function checkStrings(subject: string, data: unknown, size: DataSize): readonly string[] {
  const array = 'an array of strings'
  if (!Array.isArray(data)) throw inputInvalid(subject, { expected: array, received: describeValue(data) })
  if (data.length !== size.length) throw inputInvalid(subject, { expected: sizeText(size), received: `${data.length}` })
  const wrong = data.findIndex((item) => typeof item !== 'string')
  if (wrong < 0) return data as string[]
  throw inputInvalid(subject, { expected: array, received: `${describeValue(data[wrong])} at index ${wrong}` })
}

function inputInvalid(subject: string, details: ErrorDetails): OnnxEngineError {
  return new OnnxEngineError('INPUT_INVALID', subject, details)
}

// A message with thousands of names helps nobody.
const mostShown = 20

function bindingTexts(bindings: readonly Binding[]): string {
  const texts = bindings.slice(0, mostShown).map((binding) => `${quote(binding.name)}: ${bindingText(binding)}`)
  const others = bindings.length - texts.length
  return [...texts, ...(others > 0 ? [`and ${others} more`] : [])].join(', ') || 'no inputs'
}

import { dtypes, elementCount, type DType } from './dtype.ts'
import { OnnxEngineError, type ErrorDetails } from './errors.ts'
import type { Binding } from './manifest.ts'
import type { CheckedTensor } from './session.ts'
import { didYouMean, modelSubject, quote, withArticle } from './text.ts'

/** One input as the caller passed it, before its parts are checked. */
interface RawInput {
  readonly data: unknown
  readonly dims: unknown
  readonly dtype: unknown
}

/** The size of each named dim and the input that set it, so that an error names both inputs that disagree. */
type NamedDims = Map<string, { readonly size: number; readonly input: string }>

/**
 * Checks the inputs of infer() against the bindings before anything is copied. Throws INPUT_INVALID that names the
 * model and the binding. Dims of the result are resolved, and its data covers exactly their product.
 */
export function checkInputs(model: string, bindings: readonly Binding[], inputs: unknown): Map<string, CheckedTensor> {
  if (
    typeof inputs !== 'object' ||
    inputs === null ||
    Array.isArray(inputs) ||
    ArrayBuffer.isView(inputs) ||
    inputs instanceof Map
  ) {
    const expected = `an object with ${bindingTexts(bindings)}`
    throw new OnnxEngineError('INPUT_INVALID', `${modelSubject(model)}, inputs of infer()`, {
      expected,
      received: describeValue(inputs),
    })
  }
  for (const name of Object.keys(inputs)) {
    if (!bindings.some((binding) => binding.name === name)) throw unknownInput(model, name, bindings)
  }
  const named: NamedDims = new Map()
  const record = inputs as Readonly<Record<string, unknown>>
  // Own properties only: a binding may be called `toString` or `__proto__`.
  return new Map(
    bindings.map((binding) => {
      const value = Object.hasOwn(record, binding.name) ? record[binding.name] : undefined
      return [binding.name, checkInput(`${modelSubject(model)}, input ${quote(binding.name)}`, binding, value, named)]
    }),
  )
}

/** A binding's type as declarations print it: `float32[batch,3,?]`; `float32` alone when the rank itself is unknown. */
export function bindingText({ dtype, dims }: Binding): string {
  return dims ? `${dtype}[${dims.map((dim) => dim ?? '?').join(',')}]` : dtype
}

function checkInput(subject: string, binding: Binding, value: unknown, named: NamedDims): CheckedTensor {
  const raw = rawInputOf(subject, binding, value)
  if (raw.dtype !== undefined && raw.dtype !== binding.dtype) {
    throw inputInvalid(subject, { expected: `dtype ${binding.dtype}`, received: `dtype ${describeValue(raw.dtype)}` })
  }
  const data = checkData(subject, binding, raw.data)
  const dims = checkDims(subject, binding, raw.dims, named)
  const length = elementCount(dims)
  if (!Number.isSafeInteger(length)) {
    throw inputInvalid(subject, { expected: 'dims whose product can be counted', received: `dims ${dimsText(dims)}` })
  }
  if (data.length !== length) {
    const hint = isDetached(data)
      ? 'The array is detached: its buffer was transferred elsewhere, so pass a new one.'
      : undefined
    throw inputInvalid(subject, {
      expected: `${length} elements for dims ${dimsText(dims)}`,
      received: `${data.length}`,
      hint,
    })
  }
  return { dtype: binding.dtype, dims, data }
}

// A typed array alone (an array of strings for a string input) is enough when every dim is static.
function rawInputOf(subject: string, binding: Binding, value: unknown): RawInput {
  if (value === undefined || value === null) {
    throw inputInvalid(subject, { expected: bindingText(binding), received: 'nothing' })
  }
  if (ArrayBuffer.isView(value) || Array.isArray(value)) {
    const dims = binding.dims?.every((dim) => typeof dim === 'number') ? binding.dims : undefined
    if (dims) return { data: value, dims, dtype: undefined }
    const hint = 'A plain array is accepted only when every dim is static.'
    throw inputInvalid(subject, {
      expected: `{ data, dims } for ${bindingText(binding)}`,
      received: describeValue(value),
      hint,
    })
  }
  if (typeof value !== 'object' || !('data' in value) || !('dims' in value)) {
    throw inputInvalid(subject, {
      expected: `{ data, dims } for ${bindingText(binding)}`,
      received: describeValue(value),
    })
  }
  return { data: value.data, dims: value.dims, dtype: 'dtype' in value ? value.dtype : undefined }
}

type Data = (ArrayBufferView & { readonly length: number }) | readonly string[]

// Other array types that carry the same elements.
const alsoAccepted: { readonly [D in DType]?: string } = {
  uint8: 'Uint8ClampedArray',
  float16: 'Float16Array',
  bfloat16: 'Uint16Array',
}

function checkData(subject: string, binding: Binding, data: unknown): Data {
  const expected = dtypes[binding.dtype].array
  if (binding.dtype === 'string') {
    if (!Array.isArray(data))
      throw inputInvalid(subject, { expected: 'an array of strings', received: describeValue(data) })
    const wrong = data.findIndex((item) => typeof item !== 'string')
    if (wrong < 0) return data as string[]
    throw inputInvalid(subject, {
      expected: 'an array of strings',
      received: `${describeValue(data[wrong])} at index ${wrong}`,
    })
  }
  const tag = arrayTag(data)
  if (tag !== undefined && (tag === expected || tag === alsoAccepted[binding.dtype])) return data as Data
  throw inputInvalid(subject, {
    expected: `${withArticle(expected)} for ${bindingText(binding)}`,
    received: describeValue(data),
  })
}

function checkDims(subject: string, binding: Binding, dims: unknown, named: NamedDims): readonly number[] {
  // A copy, because `every` skips the holes of a sparse array, and because the caller may change its own.
  const given: readonly unknown[] = Array.isArray(dims) ? Array.from(dims) : [undefined]
  if (!isCounts(given)) {
    throw inputInvalid(subject, {
      expected: 'dims as an array of whole numbers from 0',
      received: Array.isArray(dims) ? dimsText(given) : describeValue(dims),
    })
  }
  if (!binding.dims) return given
  if (given.length !== binding.dims.length) {
    const expected = `${binding.dims.length} dims for ${bindingText(binding)}`
    throw inputInvalid(subject, { expected, received: `${given.length}: ${dimsText(given)}` })
  }
  binding.dims.forEach((dim, axis) => {
    const size = given[axis] ?? 0
    if (typeof dim === 'number' && dim !== size) {
      throw inputInvalid(subject, { expected: `${dim} at dim ${axis} of ${bindingText(binding)}`, received: `${size}` })
    }
    if (typeof dim !== 'string') return
    const first = named.get(dim)
    if (!first) named.set(dim, { size, input: binding.name })
    else if (first.size !== size) {
      const reason = `${quote(dim)} is ${first.size} in input ${quote(first.input)}`
      throw inputInvalid(subject, { expected: `${first.size} at dim ${axis}, because ${reason}`, received: `${size}` })
    }
  })
  return given
}

function inputInvalid(subject: string, details: ErrorDetails): OnnxEngineError {
  return new OnnxEngineError('INPUT_INVALID', subject, details)
}

function unknownInput(model: string, name: string, bindings: readonly Binding[]): OnnxEngineError {
  const hint = didYouMean(
    name,
    bindings.map((binding) => binding.name),
  )
  return inputInvalid(`${modelSubject(model)}, input ${quote(name)}`, {
    expected: bindingTexts(bindings),
    received: 'an unknown name',
    hint,
  })
}

// The getter of the intrinsic prototype knows the type across realms (test runners, Electron), and cannot be
// overridden.
const typedArrayTag = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)?.get

function arrayTag(value: unknown): string | undefined {
  return typedArrayTag?.call(value) as string | undefined
}

function isDetached(data: Data): boolean {
  if (!ArrayBuffer.isView(data)) return false
  try {
    // Node 20 has no ArrayBuffer.prototype.detached, but refuses a view.
    void new Uint8Array(data.buffer)
    return false
  } catch {
    return true
  }
}

function isCounts(dims: readonly unknown[]): dims is readonly number[] {
  return dims.every((dim) => Number.isSafeInteger(dim) && Number(dim) >= 0)
}

function describeValue(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (typeof value === 'string') return quote(value)
  if (typeof value !== 'object') return `a ${typeof value}`
  if (Array.isArray(value)) return `an array of ${value.length}`
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === null || prototype === Object.prototype)
    return `an object with ${Object.keys(value).map(quote).join(', ') || 'no keys'}`
  return withArticle(arrayTag(value) ?? Object.prototype.toString.call(value).slice(8, -1))
}

function bindingTexts(bindings: readonly Binding[]): string {
  return bindings.map((binding) => `${quote(binding.name)}: ${bindingText(binding)}`).join(', ') || 'no inputs'
}

function dimsText(dims: readonly unknown[]): string {
  return `[${dims.map((dim) => (typeof dim === 'number' ? dim : describeValue(dim))).join(',')}]`
}

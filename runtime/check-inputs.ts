import { dtypes, elementCount, type DType } from './dtype.ts'
import { nearest, OnnxEngineError, type ErrorDetails } from './errors.ts'
import type { Binding } from './manifest.ts'
import type { CheckedTensor } from './session.ts'

/** What a caller gave for one input, once it is known to be an object. */
interface Given {
  readonly data: unknown
  readonly dims: unknown
  readonly dtype: unknown
}

/** Where a named dim got its size, to name both inputs when another one disagrees. */
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
    const expected = `an object with ${names(bindings)}`
    throw new OnnxEngineError('INPUT_INVALID', `model ${quote(model)}, inputs of infer()`, {
      expected,
      received: describe(inputs),
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
      return [binding.name, checkInput(`model ${quote(model)}, input ${quote(binding.name)}`, binding, value, named)]
    }),
  )
}

/** A binding's type as declarations print it: `float32[batch,3,?]`; `float32` alone when the rank itself is unknown. */
export function bindingText({ dtype, dims }: Binding): string {
  return dims ? `${dtype}[${dims.map((dim) => dim ?? '?').join(',')}]` : dtype
}

function checkInput(where: string, binding: Binding, value: unknown, named: NamedDims): CheckedTensor {
  const given = read(where, binding, value)
  if (given.dtype !== undefined && given.dtype !== binding.dtype) {
    throw invalid(where, { expected: `dtype ${binding.dtype}`, received: `dtype ${describe(given.dtype)}` })
  }
  const data = checkData(where, binding, given.data)
  const dims = checkDims(where, binding, given.dims, named)
  const length = elementCount(dims)
  if (!Number.isSafeInteger(length)) {
    throw invalid(where, { expected: 'dims whose product can be counted', received: `dims ${list(dims)}` })
  }
  if (data.length !== length) {
    const hint = isDetached(data)
      ? 'The array is detached: its buffer was transferred elsewhere, so pass a new one.'
      : undefined
    throw invalid(where, { expected: `${length} elements for dims ${list(dims)}`, received: `${data.length}`, hint })
  }
  return { dtype: binding.dtype, dims, data }
}

// A typed array alone (an array of strings for a string input) is enough when every dim is static.
function read(where: string, binding: Binding, value: unknown): Given {
  if (value === undefined || value === null) {
    throw invalid(where, { expected: bindingText(binding), received: 'nothing' })
  }
  if (ArrayBuffer.isView(value) || Array.isArray(value)) {
    const dims = binding.dims?.every((dim) => typeof dim === 'number') ? binding.dims : undefined
    if (dims) return { data: value, dims, dtype: undefined }
    const hint = 'A plain array is accepted only when every dim is static.'
    throw invalid(where, { expected: `{ data, dims } for ${bindingText(binding)}`, received: describe(value), hint })
  }
  if (typeof value !== 'object' || !('data' in value) || !('dims' in value)) {
    throw invalid(where, { expected: `{ data, dims } for ${bindingText(binding)}`, received: describe(value) })
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

function checkData(where: string, binding: Binding, data: unknown): Data {
  const expected = dtypes[binding.dtype].array
  if (binding.dtype === 'string') {
    if (!Array.isArray(data)) throw invalid(where, { expected: 'an array of strings', received: describe(data) })
    const wrong = data.findIndex((item) => typeof item !== 'string')
    if (wrong < 0) return data as string[]
    throw invalid(where, { expected: 'an array of strings', received: `${describe(data[wrong])} at index ${wrong}` })
  }
  const tag = arrayTag(data)
  if (tag !== undefined && (tag === expected || tag === alsoAccepted[binding.dtype])) return data as Data
  throw invalid(where, { expected: `${withArticle(expected)} for ${bindingText(binding)}`, received: describe(data) })
}

function checkDims(where: string, binding: Binding, dims: unknown, named: NamedDims): readonly number[] {
  // A copy, because `every` skips the holes of a sparse array, and because the caller may change its own.
  const given: readonly unknown[] = Array.isArray(dims) ? Array.from(dims) : [undefined]
  if (!isCounts(given)) {
    throw invalid(where, {
      expected: 'dims as an array of whole numbers from 0',
      received: Array.isArray(dims) ? list(given) : describe(dims),
    })
  }
  if (!binding.dims) return given
  if (given.length !== binding.dims.length) {
    const expected = `${binding.dims.length} dims for ${bindingText(binding)}`
    throw invalid(where, { expected, received: `${given.length}: ${list(given)}` })
  }
  binding.dims.forEach((dim, axis) => {
    const size = given[axis] ?? 0
    if (typeof dim === 'number' && dim !== size) {
      throw invalid(where, { expected: `${dim} at dim ${axis} of ${bindingText(binding)}`, received: `${size}` })
    }
    if (typeof dim !== 'string') return
    const first = named.get(dim)
    if (!first) named.set(dim, { size, input: binding.name })
    else if (first.size !== size) {
      const expected = `${first.size} at dim ${axis}, because ${quote(dim)} is ${first.size} in input ${quote(first.input)}`
      throw invalid(where, { expected, received: `${size}` })
    }
  })
  return given
}

function invalid(where: string, details: ErrorDetails): OnnxEngineError {
  return new OnnxEngineError('INPUT_INVALID', where, details)
}

function unknownInput(model: string, name: string, bindings: readonly Binding[]): OnnxEngineError {
  const near = nearest(
    name,
    bindings.map((binding) => binding.name),
  )
  const hint = near === undefined ? undefined : `Did you mean ${quote(near)}?`
  return invalid(`model ${quote(model)}, input ${quote(name)}`, {
    expected: names(bindings),
    received: 'an unknown name',
    hint,
  })
}

// The getter of the intrinsic prototype tells the type across realms (test runners, Electron), and cannot be
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

function describe(value: unknown): string {
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

function withArticle(name: string): string {
  return `${/^[AEIO]/.test(name) ? 'an' : 'a'} ${name}`
}

function names(bindings: readonly Binding[]): string {
  return bindings.map((binding) => `${quote(binding.name)}: ${bindingText(binding)}`).join(', ') || 'no inputs'
}

function quote(name: string): string {
  return JSON.stringify(name)
}

function list(dims: readonly unknown[]): string {
  return `[${dims.map((dim) => (typeof dim === 'number' ? dim : describe(dim))).join(',')}]`
}

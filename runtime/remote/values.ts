import { dtypes, type DType } from '../dtype.ts'
import type { CheckedTensor } from '../session.ts'
import { utf8 } from './raw.ts'

const isFloat = (dtype: DType): boolean => dtype === 'float32' || dtype === 'float64'
const isBigInt = (dtype: DType): boolean => dtype === 'int64' || dtype === 'uint64'

/**
 * The elements of an output from a list of values, as JSON or the typed fields of gRPC hold them; a text says why a
 * value is wrong. Integers must fit their dtype exactly: a server's rounding must not become wrong numbers here.
 */
export function fromValues(dtype: DType, count: number, values: readonly unknown[]): CheckedTensor['data'] | string {
  if (values.length !== count) return `${values.length} elements instead of ${count}`
  if (dtype === 'string') return stringsOf(values)
  const data = new globalThis[dtypes[dtype].array](count)
  for (const [index, value] of values.entries()) {
    const element = elementOf(dtype, value)
    if (element === undefined) return `${shown(value)} for ${dtype}, at index ${index}`
    data[index] = element
    if (!isFloat(dtype) && data[index] !== element)
      return `${shown(value)}, which ${dtype} cannot hold, at index ${index}`
  }
  return data
}

function elementOf(dtype: DType, value: unknown): number | bigint | undefined {
  if (dtype === 'bool') return boolOf(value)
  if (isBigInt(dtype)) return bigIntOf(value)
  if (typeof value !== 'number') return undefined
  return isFloat(dtype) || Number.isInteger(value) ? value : undefined
}

function boolOf(value: unknown): number | undefined {
  if (typeof value === 'boolean') return Number(value)
  return value === 0 || value === 1 ? value : undefined
}

// A number of JSON beyond 2 ** 53 has lost digits already. gRPC gives 64-bit integers as text.
function bigIntOf(value: unknown): bigint | undefined {
  if (typeof value === 'string' && /^-?\d+$/.test(value)) return BigInt(value)
  return Number.isSafeInteger(value) ? BigInt(value as number) : undefined
}

function stringsOf(values: readonly unknown[]): readonly string[] | string {
  const texts: string[] = []
  for (const value of values) {
    const text = value instanceof Uint8Array ? utf8(value) : value
    if (typeof text !== 'string') return `${shown(value)} instead of UTF-8 text, at index ${texts.length}`
    texts.push(text)
  }
  return texts
}

function shown(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`
  return (JSON.stringify(value) ?? typeof value).slice(0, 60)
}

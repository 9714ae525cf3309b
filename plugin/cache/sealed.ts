import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { readRegular } from '../files/regular-file.ts'

/** A record of the cache with its checksum: what a disk or a person changed is noticed when it is read. */
export interface Sealed<T> {
  readonly sum: string
  readonly value: T
}

export function seal<T>(value: T): Sealed<T> {
  return { sum: checksum(value), value }
}

/** The value of a sealed record that was read from disk; undefined when anything is wrong with it. */
export function unseal<T>(sealed: unknown, schema: v.GenericSchema<unknown, T>): T | undefined {
  const { sum, value } = (typeof sealed === 'object' && sealed !== null ? sealed : {}) as Partial<Sealed<unknown>>
  if (value === undefined || sum !== checksum(value)) return undefined
  const parsed = v.safeParse(schema, value)
  return parsed.success ? parsed.output : undefined
}

/** The JSON in a file of the cache; undefined when there is none that can be read. */
export async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readRegular(file, largest))
  } catch {
    return undefined
  }
}

/** Bytes of the largest file of records: the stat index with the headers of 4096 large models. */
const largest = 256 << 20

// The order of the names survives JSON.
function checksum(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 32)
}

import type { Model } from './model.ts'

/** Bytes of a model: its file and its external data, each range once. */
export function modelBytes({ size, external }: Pick<Model, 'size' | 'external'>): number {
  const ranges = new Map(external.map((range) => [`${range.file} ${range.offset} ${range.length}`, range.length]))
  return [...ranges.values()].reduce((sum, length) => sum + length, size)
}

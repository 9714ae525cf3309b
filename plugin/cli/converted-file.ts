import { resolve } from 'node:path'
import { openStore, type Store } from '../cache/store.ts'
import { convert } from '../convert/convert.ts'
import type { ResolvedOptions } from '../options/schema.ts'

/**
 * The path of a model as ONNX: its own, or that of what a rule of the option `convert` makes of it. Throws what
 * `convert` throws.
 */
export async function convertedFile(
  file: string,
  { convert: rules, root, cache, frozen }: ResolvedOptions,
  store: Store = openStore({ ...cache, frozen, warn: console.error }),
): Promise<string> {
  const path = resolve(file)
  const converted = await convert({ file: path, rules, root, store, log: console.error })
  return converted?.onnx ?? path
}

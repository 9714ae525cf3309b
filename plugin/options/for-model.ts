import { resolve, sep } from 'node:path'
import type { Options } from './types.ts'

/** Options that someone sets, not checked yet. */
export type Flags = { readonly [K in keyof Options]?: unknown }

/** Options with those of one model: they also win over those in `models`. `file` is its path. */
export function forModel(options: Options, file: string, flags: Flags): Options {
  const all = { ...options, ...present(flags) }
  if (all.models === undefined) return all
  // The last of the globs wins.
  const glob = resolve(file)
    .replaceAll(sep, '/')
    .replace(/[*?[\]{}()!+@|^$]/g, '\\$&')
  const { [glob]: own, ...models } = all.models
  return { ...all, models: { ...models, [glob]: { ...own, ...present(flags) } } }
}

/** The same without what is undefined. */
export function present(flags: object): object {
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined))
}

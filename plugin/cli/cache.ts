import type { Store } from '../cache/store.ts'
import { count, formatBytes } from '../text.ts'
import { usageError } from './arguments.ts'
import { cacheReport, whyReport } from './reports.ts'

interface Answer {
  readonly data: unknown
  readonly text: string
}

export const verbNames = ['ls', 'why', 'verify', 'clean'] as const

export const cacheVerbs: Readonly<
  Record<(typeof verbNames)[number], (store: Store, dir: string, name?: string) => Promise<Answer>>
> = {
  async ls(store, dir) {
    const entries = await store.list()
    return { data: entries, text: cacheReport(entries, dir) }
  },
  async why(store, dir, name = '') {
    const records = await store.imports()
    const found = records.filter(({ importKey }) => importKey.includes(name))
    if (found.length > 0 || name === '')
      return { data: found, text: whyReport(found) || `no import is known to the cache in ${dir}` }
    throw usageError(
      `no import of '${name}' is known to the cache in ${dir}`,
      `'unplugin-onnx cache why' lists all that are`,
    )
  },
  async verify(store, dir) {
    const { checked, damaged } = await store.verify()
    if (damaged.length > 0) process.exitCode = 1
    const found = damaged.map(({ digest }) => `damaged and removed: ${digest}`)
    return {
      data: { checked, damaged },
      text: [...found, `${count(checked, 'engine')} checked in ${dir}, ${damaged.length} damaged`].join('\n'),
    }
  },
  async clean(store, dir) {
    const { removed, bytes } = await store.clear()
    return {
      data: { removed, bytes },
      text: `${count(removed.length, 'engine')} removed from ${dir}, ${formatBytes(bytes)} freed`,
    }
  },
}

import type { CAC, Command } from 'cac'
import { openStore, type Store } from '../cache/store.ts'
import { resolveOptions } from '../options/resolve.ts'
import { oneOf, validate } from '../options/validators.ts'
import { count, formatBytes } from '../text.ts'
import { commandOptions } from './arguments.ts'
import { printResult } from './print.ts'
import { cacheReport, whyReport } from './reports.ts'
import { optionTexts, usageError } from './usage.ts'

/** `unplugin-onnx cache`: shows, explains, checks or removes the engines in the cache. */
export function addCacheCommand(command: Command, cli: CAC): void {
  command
    .option('--root <dir>', optionTexts.root)
    .option('--cache-dir <dir>', optionTexts.cacheDir)
    .option('--json', optionTexts.json)
    .action(async (text: string, name: string | undefined, { json }: { json?: boolean }) => {
      const verb = validate(oneOf(verbNames), text, 'OPTION_INVALID', () => 'unplugin-onnx cache')
      const { cache } = resolveOptions(commandOptions(cli))
      const store = openStore({ ...cache, warn: console.error })
      const result = await verbs[verb](store, cache.dir, name)
      printResult(json, result.data, result.text)
    })
}

/** What a verb prints: `data` as JSON or `text`. */
interface VerbResult {
  readonly data: unknown
  readonly text: string
}

const verbNames = ['ls', 'why', 'verify', 'clean'] as const

type Verb = (store: Store, dir: string, name?: string) => Promise<VerbResult>

const verbs: Readonly<Record<(typeof verbNames)[number], Verb>> = {
  async ls(store, dir) {
    const entries = await store.list()
    return { data: entries, text: cacheReport(entries, dir) }
  },
  async why(store, dir, name = '') {
    const records = await store.imports()
    const matching = records.filter(({ importKey }) => importKey.includes(name))
    if (matching.length === 0 && name !== '')
      throw usageError(
        `the cache in ${dir} has no import of '${name}'`,
        `Run 'unplugin-onnx cache why' to list every import that it has`,
      )
    return { data: matching, text: whyReport(matching) || `the cache in ${dir} has no import` }
  },
  async verify(store, dir) {
    const { checked, damaged, damagedRecords } = await store.verify()
    if (damaged.length + damagedRecords > 0) process.exitCode = 1
    const removed = damaged.map(({ digest }) => `damaged and removed: ${digest}`)
    if (damagedRecords > 0) removed.push(`damaged and removed: ${count(damagedRecords, 'record')}`)
    return {
      data: { checked, damaged, damagedRecords },
      text: [...removed, `${count(checked, 'engine')} checked in ${dir}, ${damaged.length} damaged`].join('\n'),
    }
  },
  async clean(store, dir) {
    const { removed, bytes } = await store.clear()
    const kept = await store.list()
    const text = `${count(removed.length, 'engine')} removed from ${dir}, ${formatBytes(bytes)} freed`
    const inUse = `${count(kept.length, 'engine')} kept, because running processes use or build them`
    return { data: { removed, bytes, kept }, text: kept.length > 0 ? `${text}\n${inUse}` : text }
  },
}

import type { Probe } from '../backend/contract.ts'
import type { ImportRecord } from '../cache/import-records.ts'
import type { StoreEntry } from '../cache/list.ts'
import type { Check } from '../doctor/checks.ts'
import { type Cell, columns, type Paint, plain, plainPaint, table } from '../terminal/table.ts'
import { formatBytes, count } from '../text.ts'
import type { TypedSources } from '../types/sync.ts'
import type { OnnxruntimeSession } from './onnxruntime-session.ts'

/** Text of `unplugin-onnx cache ls`: one line per engine, the most recently used first, and the total. */
export function cacheReport(entries: readonly StoreEntry[], dir: string): string {
  const rows = entries.map(({ digest, size, seconds, used, imports }) => [
    digest.slice(0, 12),
    formatBytes(size),
    `built in ${seconds.toFixed(1)} s`,
    `used ${new Date(used).toISOString().slice(0, 10)}`,
    imports.map(plain).join(', ') || 'superseded',
  ])
  const total = entries.reduce((sum, { size }) => sum + size, 0)
  return [...columns(rows), `${count(entries.length, 'engine')}, ${formatBytes(total)} in ${dir}`].join('\n')
}

/** Text of `unplugin-onnx cache why`: when and why an import got its engine, and every fact of the engine's key. */
export function whyReport(records: readonly ImportRecord[]): string {
  return records
    .map(({ importKey, reason, at, entry }) =>
      [
        `${plain(importKey)}  ${reason}  ${new Date(at).toISOString()}  ${entry.digest.slice(0, 12)}`,
        ...columns(Object.entries(entry.facts).map(([name, value]) => [plain(name), plain(String(value))])),
      ].join('\n'),
    )
    .join('\n\n')
}

/** Text of `unplugin-onnx types --check`: every stale file, and what to do. */
export function staleTypesReport({ imports, dir, written, removed }: TypedSources): string {
  const stale = written.length + removed.length
  const state = stale === 0 ? 'up to date' : `${count(stale, 'file')} stale. Run 'unplugin-onnx types'`
  return [
    ...written.map((file) => `missing or changed: ${plain(file)}`),
    ...removed.map((file) => `no longer imported: ${plain(file)}`),
    `${count(imports.length, 'import')} of models, types in ${dir}: ${state}`,
  ].join('\n')
}

/** The state of this machine, for `unplugin-onnx doctor`. */
export interface Diagnosis {
  readonly version: string
  readonly node: string
  readonly platform: string
  readonly arch: string
  readonly backends: readonly ({ readonly name: string } & Probe)[]
  readonly onnxruntime: OnnxruntimeSession
  readonly cache: { readonly dir: string; readonly engines: number; readonly bytes: number }
  readonly checks: readonly Check[]
}

/** Text of `unplugin-onnx doctor`: what is installed on this machine, and how to install what is missing. */
export function doctorReport(diagnosis: Diagnosis, paint: Paint = plainPaint): string {
  const { version, node, platform, arch, backends, onnxruntime, cache, checks } = diagnosis
  return [
    `unplugin-onnx ${version}, Node.js ${node}, ${platform} ${arch}`,
    ...columns([
      ...backends.map((backend) => [
        backend.name,
        backend.available ? backend.version : `not found: ${[backend.reason, backend.hint].filter(Boolean).join('. ')}`,
      ]),
      ['sessions of onnxruntime', `${sessionText[onnxruntime.session]}: ${plain(onnxruntime.reason)}`],
      ['cache', `${count(cache.engines, 'engine')}, ${formatBytes(cache.bytes)} in ${cache.dir}`],
    ]),
    'checks',
    ...table(
      checks.map(({ name, isOk, text }): Cell[] => [
        isOk ? { text: 'ok', style: 'green' } : { text: 'to do', style: 'yellow' },
        name,
        plain(text),
      ]),
      { paint, width: Infinity },
    ),
  ].join('\n')
}

const sessionText = { native: 'native', worker: 'in a worker', none: 'none' } as const

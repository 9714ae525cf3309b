import { basename } from 'node:path'
import type { Binding, ModelManifest } from '../../runtime/manifest.ts'
import type { Probe } from '../backend/contract.ts'
import type { ImportRecord } from '../cache/import-records.ts'
import type { StoreEntry } from '../cache/list.ts'
import type { UnsupportedBinding } from '../onnx/bindings.ts'
import type { ModelWithInitializers } from '../onnx/model.ts'
import { byteLength } from '../onnx/tensor.ts'
import { columns, plain } from '../table.ts'
import { formatBytes, count } from '../text.ts'
import type { TypedSources } from '../types/sync.ts'
import type { OnnxruntimeSession } from './onnxruntime-session.ts'

/** Text of `unplugin-onnx inspect`: bindings, opsets, and the size of the weights. */
export function modelReport({
  file,
  size,
  irVersion,
  opsets,
  bindings,
  defaults = [],
  unsupported = [],
  initializers,
  external,
}: ModelWithInitializers): string {
  const opset = Object.entries(opsets).map(
    ([domain, version]) => `${domain === '' ? 'opset' : plain(domain)} ${version}`,
  )
  // Before IR version 4 a model lists all its weights as inputs.
  const settable = irVersion < 4 ? [] : defaults
  const bytes = initializers.reduce((sum, initializer) => sum + (byteLength(initializer) ?? 0), 0)
  const files = new Map<string, number>()
  for (const { file, length } of external) files.set(file, (files.get(file) ?? 0) + length)
  return [
    `${plain(file)}  ${formatBytes(size)}  IR ${irVersion}  ${opset.join('  ')}`,
    'inputs',
    ...columns([...bindings.inputs.map(bindingRow), ...unsupportedRows(unsupported, 'input')]),
    ...(settable.length > 0 ? ['inputs with a default', ...columns(settable.map(bindingRow))] : []),
    'outputs',
    ...columns([...bindings.outputs.map(bindingRow), ...unsupportedRows(unsupported, 'output')]),
    `initializers  ${initializers.length}, ${formatBytes(bytes)}`,
    ...[...files].map(([file, length]) => `external data  ${plain(file)}, ${formatBytes(length)}`),
    `import  ${plain(importLine(file))}`,
  ].join('\n')
}

/** Text of `unplugin-onnx inspect` for a manifest: bindings, and what each engine requires. */
export function manifestReport({ name, bindings, variants }: ModelManifest): string {
  const engines = variants.map(({ backend, engine, size, requires, verified = true }) => [
    backend,
    engine,
    formatBytes(size),
    verified ? 'verified' : 'not verified',
    plain(
      Object.entries(requires)
        .map(([key, value]) => `${key}=${requirementText(value)}`)
        .join(' '),
    ),
  ])
  return [
    plain(name),
    'inputs',
    ...columns(bindings.inputs.map(bindingRow)),
    'outputs',
    ...columns(bindings.outputs.map(bindingRow)),
    'engines',
    ...columns(engines),
  ].join('\n')
}

function requirementText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

// From a file next to the model; in a query, these characters would end the path.
function importLine(file: string): string {
  const name = basename(file)
  const variable = name
    .replace(/\.onnx$/i, '')
    .replace(/[^\w$]+/g, '_')
    .replace(/^(?=\d)|^$/, '_')
  return `import ${variable} from ${JSON.stringify(`./${name}?engine=fp32`).replaceAll('"', "'")}`
}

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
}

/** Text of `unplugin-onnx doctor`: what is installed on this machine, and how to install what is missing. */
export function doctorReport(diagnosis: Diagnosis): string {
  const { version, node, platform, arch, backends, onnxruntime, cache } = diagnosis
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
  ].join('\n')
}

const sessionText = { native: 'native', worker: 'in a worker', none: 'none' } as const

function unsupportedRows(
  unsupported: readonly UnsupportedBinding[],
  wanted: UnsupportedBinding['role'],
): readonly (readonly string[])[] {
  return unsupported.flatMap(({ role, name, received }) =>
    role === wanted ? [[plain(name), `${received} (unsupported)`]] : [],
  )
}

function bindingRow({ name, dtype, dims }: Binding): readonly string[] {
  if (dims === null) return [plain(name), `${dtype} of unknown rank`]
  const texts = dims.map((dim) => (dim === null ? '?' : plain(String(dim))))
  return [plain(name), `${dtype}[${texts.join(', ')}]`]
}

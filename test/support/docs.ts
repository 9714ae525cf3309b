import { readFileSync } from 'node:fs'
import { posix, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseSync } from 'oxc-parser'
import { format, type FormatConfig } from 'oxfmt'
import { knownWrong } from '../../plugin/backend/openvino/known-wrong.ts'
import { commands } from '../../plugin/cli/commands.ts'
import {
  hardwareCompatibilities,
  optimizationLevels,
  performanceHints,
  profilingVerbosities,
  webGpuFlavours,
} from '../../plugin/options/backend-types.ts'
import { platforms } from '../../plugin/options/build-target.ts'
import { resolveOptions } from '../../plugin/options/resolve.ts'
import { calibrationMethods, imageChannels, imageLayouts } from '../../plugin/options/sample-types.ts'
import { ioPrecisions } from '../../plugin/options/types.ts'
import { patterns } from '../../plugin/simplify/decompose/patterns.ts'
import { errorCodes } from '../../runtime/errors.ts'
import { backendNames, dimsChecks, precisions } from '../../runtime/manifest.ts'
import type { Figures } from '../accuracy/figures.ts'
import { versions } from '../frameworks/versions.ts'
import type { RefusedOperator } from '../operators/refusals.ts'
import refusedOperators from '../operators/refused.json' with { type: 'json' }

// As `npm run format` writes the pages.
const style = JSON.parse(readFileSync(new URL('../../.oxfmtrc.json', import.meta.url), 'utf8')) as FormatConfig

/** What docs/options.md should say: its own prose, with a table per section made from the types in plugin/options. */
export function optionsPage(): Promise<string> {
  const missing = [...readInterfaces().keys()].filter((name) => !sections.some(({ type }) => type === name))
  if (missing.length > 0) throw new Error(`docs/options.md has no table for ${missing.join(', ')}`)
  const tables = sections.map(({ table, type, path }) => [table, optionsTable(type, path)] as const)
  return withTables('docs/options.md', Object.fromEntries(tables))
}

/** What docs/errors.md should say: its own prose, with the table made from runtime/errors.ts. */
export function errorsPage(): Promise<string> {
  const rows = Object.entries(errorCodes).map(([name, meaning]) => [code(name), meaning])
  return withTables('docs/errors.md', { codes: table(['Code', 'Meaning'], rows) })
}

/** What docs/command.md should say: its own prose, with a table of the options of each command. */
export async function commandPage(): Promise<string> {
  const { commands: all } = await commands({ version: '', engines: { node: '' }, peerDependencies: {} })
  const tables = all.map(({ name, options }) => {
    const rows = options.map(({ rawName, description }) => [code(rawName), description])
    return [name, table(['Option', 'Meaning'], rows)] as const
  })
  return withTables('docs/command.md', Object.fromEntries(tables))
}

/** What docs/architecture.md should say: its own prose, with the floors that lint enforces. */
export function architecturePage(): Promise<string> {
  const file = new URL('../lint/floors.json', import.meta.url)
  const floors = JSON.parse(readFileSync(file, 'utf8')) as { floor: string; rooms: string[]; holds: string }[]
  const rows = floors.map(({ floor, rooms, holds }) => [floor, rooms.map(code).join(', '), holds])
  return withTables('docs/architecture.md', { floors: table(['Floor', 'Rooms', 'What is there'], rows) })
}

/**
 * What docs/openvino.md should say: its own prose, with the nodes that a build refuses before it compiles, and the
 * operators of which it refuses the test cases of ONNX.
 */
export function openvinoPage(): Promise<string> {
  const rows = knownWrong.map(({ operators, reason }) => [operators.map(code).join(', '), `${reason}.`])
  return withTables('docs/openvino.md', {
    'known wrong': table(['Operators', 'What happens'], rows),
    'refused operators': table(['Reason', 'Operators, every case', 'Operators, some cases'], refusedRows()),
  })
}

function refusedRows(): string[][] {
  const refused: readonly RefusedOperator[] = refusedOperators
  const reasons = [...new Set(refused.map(({ reason }) => reason))].sort()
  return reasons.map((reason) => {
    const rows = refused.filter((row) => row.reason === reason)
    return [reason, namesOf(rows.filter(({ right }) => right === 0)), namesOf(rows.filter(({ right }) => right > 0))]
  })
}

function namesOf(rows: readonly RefusedOperator[]): string {
  return rows.map(({ operator }) => code(operator)).join(', ')
}

/** What docs/precision-measurements.md should say: its own prose, with the figures of real nets. */
export function measurementsPage(rows: readonly (Figures & { readonly net: string })[]): Promise<string> {
  const head = ['Net', 'Engine', 'Compared on', 'Largest difference', 'Cosine', 'Length', 'Decisions', 'Of its limit']
  const cells = rows.map(({ net, engine, inputs, error, cosine, length, decisions, share }) => [
    net,
    engine,
    inputs,
    error.toExponential(1),
    cosine.toFixed(6),
    length.toExponential(1),
    `${(100 * decisions).toFixed(1)}%`,
    share === 0 ? '0' : share.toPrecision(2),
  ])
  return withTables('docs/precision-measurements.md', { limits: table(head, cells) })
}

/** What docs/frameworks.md should say: its own prose, with the versions that its tests install. */
export function frameworksPage(): Promise<string> {
  const rows = Object.entries(versions).map(([app, packages]) => [
    code(app),
    Object.entries(packages)
      .filter(([name]) => !/^(?:@types\/|typescript$)/.test(name))
      .map(([name, version]) => `${name} ${version}`)
      .join(', '),
  ])
  return withTables('docs/frameworks.md', { frameworks: table(['App', 'Versions'], rows) })
}

/** What docs/bundlers.md should say: its own prose, with a table of the cases that the tests build and run. */
export function bundlersPage(
  cases: readonly { readonly bundler: string; readonly format: string; readonly how: string }[],
  watched: readonly (readonly [bundler: string, how: string])[],
  pages: readonly { readonly bundler: string; readonly how: string }[],
): Promise<string> {
  return withTables('docs/bundlers.md', {
    cases: table(
      ['Bundler', 'Output', 'With'],
      cases.map(({ bundler, format, how }) => [bundler, format, how]),
    ),
    watched: table(['Bundler', 'Takes a changed model into account'], watched),
    pages: table(
      ['Bundler', 'With'],
      pages.map(({ bundler, how }) => [bundler, how]),
    ),
  })
}

/** What docs/nvidia.md should say: its own prose, with a row for each net that `npm run test:nets` built. */
export function nvidiaPage(rows: readonly (readonly string[])[]): Promise<string> {
  const head = ['Net', 'What it finds', 'fp32 before', 'fp32', 'fp16 before', 'fp16', 'Why not']
  return withTables('docs/nvidia.md', { nets: table(head, rows) })
}

/** What docs/nvidia.md should say: its own prose, with the operators that are rewritten for a compiler. */
export function rewrittenPage(): Promise<string> {
  const rows = Object.entries(patterns).flatMap(([domain, operators]) =>
    Object.entries(operators)
      .filter(([, { follows }]) => !follows)
      .map(([name, { backends, reason }]) => [
        code(domain === '' ? name : `${domain}.${name}`),
        backends.map(code).join(', '),
        reason,
      ]),
  )
  return withTables('docs/nvidia.md', { patterns: table(['Operator', 'For', 'Why'], rows) })
}

/** The tables of docs/options.md. `path` leads to the defaults; samples have several places and no defaults there. */
const sections: readonly { readonly table: string; readonly type: string; readonly path?: readonly string[] }[] = [
  { table: 'for each model', type: 'ModelOptions', path: [] },
  { table: 'samples', type: 'CalibrationOptions' },
  { table: 'preprocess', type: 'PreprocessOptions' },
  { table: 'precision', type: 'PrecisionOptions', path: ['precision'] },
  { table: 'verify', type: 'VerifyOptions', path: ['verify'] },
  { table: 'onnxruntime', type: 'OnnxRuntimeOptions', path: ['onnxruntime'] },
  { table: 'openvino', type: 'OpenVinoOptions', path: ['openvino'] },
  { table: 'tensorrtRtx', type: 'TensorRtRtxOptions', path: ['tensorrtRtx'] },
  { table: 'memoryPoolLimits', type: 'MemoryPoolLimits', path: ['tensorrtRtx', 'memoryPoolLimits'] },
  { table: 'tensorrt', type: 'TensorRtOptions', path: ['tensorrt'] },
  { table: 'for the plugin', type: 'Options', path: [] },
  { table: 'cache', type: 'CacheOptions', path: ['cache'] },
  { table: 'web', type: 'WebOptions', path: ['web'] },
  { table: 'types', type: 'TypesOptions', path: ['types'] },
]
/** `Profile` and `ValueBounds` are explained in prose. */
const sectionName = /Options$|^MemoryPoolLimits$/

interface Member {
  readonly name: string
  readonly type: string
  readonly description: string
}

const sourceFiles = ['types.ts', 'backend-types.ts', 'sample-types.ts'].map(
  (name) => new URL(`../../plugin/options/${name}`, import.meta.url),
)
/** What the page writes for a type of plugin/options. The order matters where one name ends in another. */
const typeTexts: Readonly<Record<string, string>> = {
  IoPrecision: union(ioPrecisions),
  DimsCheck: union(dimsChecks),
  Precision: union(precisions),
  'BackendEntry[]': `(${union(backendNames)} | { remote })[]`,
  OptimizationLevel: union(optimizationLevels),
  PerformanceHint: union(performanceHints),
  CalibrationMethod: union(calibrationMethods),
  ImageLayout: union(imageLayouts),
  ImageChannels: union(imageChannels),
  ProfilingVerbosity: union(profilingVerbosities),
  HardwareCompatibility: union(hardwareCompatibilities),
  WebGpuFlavour: union(webGpuFlavours),
  Platform: union(platforms),
  Shapes: 'Record<string, number[]>',
}
const defaultsRoot = resolve('/project')

function optionsTable(name: string, path?: readonly string[]): string {
  const interfaces = readInterfaces()
  const isSection = (type: string) => [...interfaces.keys()].some((other) => new RegExp(`\\b${other}$`).test(type))
  const rows = (interfaces.get(name) ?? []).map(({ name: key, type, description }) => {
    const defaultText = path === undefined || isSection(type) ? '' : defaultOf([...path, key])
    return [code(key), code(typeText(type)), defaultText, withLinks(description)]
  })
  return table(['Option', 'Type', 'Default', 'Meaning'], rows)
}

/** A type as users write it: an interface is `object`, the name of a union is the union. */
function typeText(type: string): string {
  const interfaces = /\b(?!ModelOptions)\w+Options\b|\bMemoryPoolLimits\b|\bProfile\b/g
  const text = type.replaceAll(interfaces, 'object')
  return Object.entries(typeTexts)
    .reduce((result, [name, meaning]) => result.replaceAll(name, meaning), text)
    .replaceAll('|', '\\|')
}

/**
 * The members of each exported interface with their comments. The comments are what editors show, so they are kept in
 * one place.
 */
function readInterfaces(): ReadonlyMap<string, readonly Member[]> {
  return new Map(sourceFiles.flatMap(interfacesOf))
}

function interfacesOf(sourceFile: URL): [string, Member[]][] {
  const text = readFileSync(sourceFile, 'utf8')
  const { program, comments } = parseSync(fileURLToPath(sourceFile), text)
  const declarations = program.body.flatMap((node) =>
    node.type === 'ExportNamedDeclaration' && node.declaration?.type === 'TSInterfaceDeclaration'
      ? [node.declaration]
      : [],
  )
  return declarations
    .filter(({ id }) => sectionName.test(id.name))
    .map(({ id, body }) => [
      id.name,
      body.body.flatMap((member): Member[] => {
        if (member.type !== 'TSPropertySignature' || member.key.type !== 'Identifier' || !member.typeAnnotation)
          return []
        const comment = comments.findLast(
          ({ end }) => end <= member.start && text.slice(end, member.start).trim() === '',
        )
        if (comment === undefined)
          throw new Error(`${id.name}.${member.key.name} has no comment, so docs/options.md cannot describe it`)
        const { start, end } = member.typeAnnotation.typeAnnotation
        return [
          {
            name: member.key.name,
            type: text.slice(start, end).replaceAll(/readonly |Readonly<(.*)>/g, '$1'),
            description: comment.value
              .replaceAll(/^\s*\*+ ?/gm, '')
              .trim()
              .replaceAll('\n', ' '),
          },
        ]
      }),
    ])
}

/** Sizes and times as users write them; resolved, they are bytes and milliseconds. */
const readableDefaults: Readonly<Record<string, string>> = { 'cache.maxSize': '10GB', 'cache.maxAge': '30d' }

function defaultOf(path: readonly string[]): string {
  const value = valueAt(resolveOptions({}, defaultsRoot), path)
  if (path[0] === 'root' || value === undefined) return ''
  const readable = readableDefaults[path.join('.')]
  if (readable !== undefined) {
    const user = path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), readable)
    if (valueAt(resolveOptions(user, defaultsRoot), path) === value) return code(`'${readable}'`)
    throw new Error(`the default of ${path.join('.')} is no longer ${readable}`)
  }
  if (typeof value === 'number') return code(value.toLocaleString('en').replaceAll(',', '_'))
  const isFolder = typeof value === 'string' && value.startsWith(defaultsRoot)
  const text = isFolder ? relative(defaultsRoot, value).replaceAll(sep, posix.sep) : value
  return code(JSON.stringify(text).replaceAll('"', `'`))
}

/** An optional section has no default of its own, and neither do its keys. */
function valueAt(options: unknown, path: readonly string[]): unknown {
  return path.reduce((value, key) => (value as Record<string, unknown> | undefined)?.[key], options)
}

/** Editors show the path of a page, the pages link to it. */
function withLinks(text: string): string {
  return text.replaceAll(/\bdocs\/([\w-]+)\.md/g, '[$1]($1.md)')
}

function code(text: string): string {
  return `\`${text}\``
}

function union(names: readonly string[]): string {
  return names.map((name) => `'${name}'`).join(' | ')
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

async function withTables(page: string, tables: Readonly<Record<string, string>>): Promise<string> {
  let text = readFileSync(new URL(`../../${page}`, import.meta.url), 'utf8').replaceAll('\r\n', '\n')
  for (const [name, content] of Object.entries(tables)) {
    const [start, end] = [`<!-- table: ${name} -->\n`, '\n<!-- end of table -->']
    const from = text.indexOf(start) + start.length
    const to = text.indexOf(end, from)
    if (from < start.length || to < 0) throw new Error(`${page} has no place for the table '${name}'`)
    text = text.slice(0, from) + content + text.slice(to)
  }
  return (await format(page, text, style)).code
}

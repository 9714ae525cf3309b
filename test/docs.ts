import { readFileSync } from 'node:fs'
import { posix, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseSync } from 'oxc-parser'
import { format, type FormatConfig } from 'oxfmt'
import {
  calibrationMethods,
  imageChannels,
  imageLayouts,
  ioPrecisions,
  optimizationLevels,
  performanceHints,
  resolveOptions,
} from '../plugin/options/resolve.ts'
import { errorCodes } from '../runtime/errors.ts'
import { backendNames, precisions } from '../runtime/manifest.ts'

// As `npm run format` writes the pages.
const style = JSON.parse(readFileSync(new URL('../.oxfmtrc.json', import.meta.url), 'utf8')) as FormatConfig

/** What docs/options.md should say: its own prose, with the tables made from plugin/option-types.ts. */
export function optionsPage(): Promise<string> {
  return withTables('docs/options.md', {
    'for each model': optionsTable('ModelOptions'),
    'for the plugin': optionsTable('Options'),
  })
}

/** What docs/errors.md should say: its own prose, with the table made from runtime/errors.ts. */
export function errorsPage(): Promise<string> {
  const rows = Object.entries(errorCodes).map(([name, meaning]) => [code(name), meaning])
  return withTables('docs/errors.md', { codes: table(['Code', 'Meaning'], rows) })
}

/** What docs/bundlers.md should say: its own prose, with a table of the cases that the tests build and run. */
export function bundlersPage(
  cases: readonly { readonly bundler: string; readonly format: string; readonly how: string }[],
  watched: readonly (readonly [bundler: string, how: string])[],
): Promise<string> {
  return withTables('docs/bundlers.md', {
    cases: table(
      ['Bundler', 'Output', 'With'],
      cases.map(({ bundler, format, how }) => [bundler, format, how]),
    ),
    watched: table(['Bundler', 'Takes a changed model into account'], watched),
  })
}

interface Member {
  readonly name: string
  readonly type: string
  readonly description: string
}

const sourceFile = new URL('../plugin/options/types.ts', import.meta.url)
const named: Readonly<Record<string, string>> = {
  // Before the alias that it ends in.
  IoPrecision: union(ioPrecisions),
  Precision: union(precisions),
  'BackendName[]': `(${union(backendNames)})[]`,
  OptimizationLevel: union(optimizationLevels),
  PerformanceHint: union(performanceHints),
  CalibrationMethod: union(calibrationMethods),
  ImageLayout: union(imageLayouts),
  ImageChannels: union(imageChannels),
  'Profile[]': `{ min: Shapes, opt: Shapes, max: Shapes, values?: Record<string, ValueBounds> }[]`,
  ValueBounds: `{ min: number[], opt: number[], max: number[] }`,
  Shapes: 'Record<string, number[]>',
}
const defaultsRoot = resolve('/project')

function optionsTable(name: string): string {
  const interfaces = readInterfaces()
  const rows = (of: string, path: readonly string[]): string[][] =>
    (interfaces.get(of) ?? []).flatMap((member) => {
      const here = [...path, member.name]
      const nested = [...interfaces.keys()].find(
        (other) => other !== 'ModelOptions' && new RegExp(`\\b${other}$`).test(member.type),
      )
      const type = Object.entries(named).reduce(
        (text, [alias, meaning]) => text.replaceAll(alias, meaning),
        nested ? member.type.replace(nested, 'object') : member.type,
      )
      const row = [
        code(here.join('.')),
        code(type.replaceAll('|', '\\|')),
        nested ? '' : defaultOf(here),
        member.description,
      ]
      return nested === undefined ? [row] : [row, ...rows(nested, here)]
    })
  return table(['Option', 'Type', 'Default', 'Meaning'], rows(name, []))
}

/**
 * The members of each exported interface with their comments. The comments are what editors show, so they are kept in
 * one place.
 */
function readInterfaces(): ReadonlyMap<string, readonly Member[]> {
  const text = readFileSync(sourceFile, 'utf8')
  const { program, comments } = parseSync(fileURLToPath(sourceFile), text)
  const declarations = program.body.flatMap((node) =>
    node.type === 'ExportNamedDeclaration' && node.declaration?.type === 'TSInterfaceDeclaration'
      ? [node.declaration]
      : [],
  )
  return new Map(
    declarations
      .filter(({ id }) => id.name.endsWith('Options'))
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
      ]),
  )
}

function defaultOf(path: readonly string[]): string {
  let value: unknown = resolveOptions({}, defaultsRoot)
  // An optional section has no default of its own, and nor have its keys.
  for (const key of path) value = (value as Record<string, unknown> | undefined)?.[key]
  if (path[0] === 'root' || value === undefined) return ''
  if (typeof value === 'number') return code(value.toLocaleString('en').replaceAll(',', '_'))
  if (typeof value === 'string' && value.startsWith(defaultsRoot))
    value = relative(defaultsRoot, value).replaceAll(sep, posix.sep)
  return code(JSON.stringify(value).replaceAll('"', `'`))
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
  let text = readFileSync(new URL(`../${page}`, import.meta.url), 'utf8').replaceAll('\r\n', '\n')
  for (const [name, content] of Object.entries(tables)) {
    const [start, end] = [`<!-- table: ${name} -->\n`, '\n<!-- end of table -->']
    const from = text.indexOf(start) + start.length
    const to = text.indexOf(end, from)
    if (from < start.length || to < 0) throw new Error(`${page} has no place for the table '${name}'`)
    text = text.slice(0, from) + content + text.slice(to)
  }
  return (await format(page, text, style)).code
}

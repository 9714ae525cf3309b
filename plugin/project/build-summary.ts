import { relative, sep } from 'node:path'
import type { BuildEvent, EngineEvent } from '../compile/events.ts'
import { colouredPaint } from '../terminal/colour.ts'
import { type Cell, plain, table } from '../terminal/table.ts'
import { count, formatBytes } from '../text.ts'
import type { Logger } from './logger.ts'

/** What the engines of a build were, for people: collected while it runs, and printed in one piece. */
export interface BuildSummary {
  add(event: BuildEvent): void
  /** Prints what came since the last time; nothing if nothing did. */
  print(logger: Logger, options: SummaryOptions): void
  /** The lines that would make the output smaller, once. */
  advice(): readonly string[]
}

/** What a summary depends on. */
export interface SummaryOptions {
  /** Paths are shown relative to this folder. */
  readonly root: string
  /** Whether every warning of a library is printed. */
  readonly verbose: boolean
}

/** More warnings of one backend than this are only counted. */
const mostWarnings = 2

/** An empty summary. */
export function newSummary(): BuildSummary {
  const rows: EngineEvent[] = []
  const all = new Map<string, EngineEvent>()
  const passedOver = new Map<string, Set<string>>()
  const printedReasons = new Set<string>()
  const warnings = new Map<string, Set<string>>()
  let isAdvised = false
  return {
    add(event) {
      if (event.event === 'engine') {
        rows.push(event)
        all.set([event.file, event.engine, event.backend, event.label].join('\0'), event)
      } else if (event.event === 'warning') addTo(warnings, event.backend, `${event.model}: ${event.text}`)
      else addTo(passedOver, event.reason.replace(`${event.file}: `, ''), event.model)
    },
    print(logger, { root, verbose }) {
      const fresh = [...passedOver].filter(([reason]) => !printedReasons.has(reason))
      for (const [reason] of fresh) printedReasons.add(reason)
      if (rows.length + fresh.length > 0) logger.log([...summaryLines(rows), ...reasonLines(fresh, root)].join('\n'))
      for (const [backend, lines] of warnings) warnOf(logger, backend, [...lines], verbose)
      rows.length = 0
      passedOver.clear()
      warnings.clear()
    },
    advice() {
      if (isAdvised) return []
      isAdvised = true
      return adviceLines([...all.values()])
    },
  }
}

function addTo(groups: Map<string, Set<string>>, key: string, value: string): void {
  const group = groups.get(key) ?? new Set()
  groups.set(key, group)
  group.add(value)
}

function summaryLines(rows: readonly EngineEvent[]): readonly string[] {
  if (rows.length === 0) return []
  const paint = colouredPaint(process.stdout)
  const models = new Set(rows.map(({ file }) => file)).size
  const bytes = formatBytes(sizeOf(rows))
  const sorted = rows.toSorted((a, b) => inOrder(a.model, b.model) || inOrder(a.label, b.label))
  const body = sorted.map(({ model, engine, backend, label, hit, reason, size, seconds }): Cell[] => [
    plain(model),
    engine,
    label === '' ? backend : `${backend} (${label})`,
    hit ? { text: reason, style: 'dim' } : { text: plain(reason), style: 'yellow' },
    formatBytes(size),
    `${seconds.toFixed(2)} s`,
  ])
  const head = `${count(models, 'model')}, ${count(rows.length, 'engine')}, ${bytes}`
  return [`${paint('cyan', 'unplugin-onnx')}  ${head}`, ...table(body, { paint, right: [4, 5], width: Infinity })]
}

// Not localeCompare(), whose tables take longer to load than the models of a warm build.
function inOrder(a: string, b: string): number {
  return Number(a > b) - Number(a < b)
}

function sizeOf(rows: readonly EngineEvent[]): number {
  return rows.reduce((sum, { size }) => sum + size, 0)
}

function reasonLines(reasons: readonly (readonly [string, ReadonlySet<string>])[], root: string): readonly string[] {
  return reasons.map(([reason, models]) => {
    // A library that this machine lacks is missing for every model.
    const isOfModel = reason.includes('engine=') || reason.includes('input ')
    const which = isOfModel ? ` (${[...models].map(plain).join(', ')})` : ''
    return `  passed over ${reason.replaceAll(`${root}${sep}`, '')}${which}`
  })
}

function warnOf(logger: Logger, backend: string, lines: readonly string[], verbose: boolean): void {
  if (verbose || lines.length <= mostWarnings) for (const line of lines) logger.warn(line)
  else logger.warn(`${count(lines.length, 'warning')} of ${backend}: set the option 'verbose' to see them`)
}

/** Below this, nobody minds the size of engines. */
const leastAdvised = 1e6

function adviceLines(rows: readonly EngineEvent[]): readonly string[] {
  if (sizeOf(rows) < leastAdvised) return []
  const portable = rows.filter((row) => row.label === 'portable' && hasTuned(rows, row))
  const plainWeights = rows.filter(({ engine, label }) => engine === 'fp32' && label !== 'portable')
  return [
    `engines add ${formatBytes(sizeOf(rows))} to the output`,
    ...(portable.length > 0
      ? [
          `  onnxruntime: { portable: false } leaves out ${formatBytes(sizeOf(portable))}, ` +
            'if all machines have CPUs like this one',
        ]
      : []),
    ...(plainWeights.length > 0 ? [`  ?engine=fp16 stores weights in half the bytes`] : []),
  ]
}

function hasTuned(rows: readonly EngineEvent[], portable: EngineEvent): boolean {
  return rows.some(({ file, engine, backend, label }) => {
    const isSame = file === portable.file && engine === portable.engine && backend === portable.backend
    return isSame && label !== 'portable'
  })
}

/** The events of a build as JSON, one object in a line. Paths are relative to the root: builds can be compared. */
export function eventLines(events: readonly BuildEvent[], root: string): string {
  const shown = events.map((event) => ('file' in event ? { ...event, file: relative(root, event.file) } : event))
  return shown.map((event) => `${JSON.stringify(event)}\n`).join('')
}

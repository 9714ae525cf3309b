import * as v from 'valibot'
import { OnnxEngineError, textOf } from '../../runtime/errors.ts'
import { median } from '../measure/numbers.ts'
import type { BenchReport, BenchRow, RowFigures, RowName } from './contract.ts'
import { percentile } from './statistics.ts'

/** A row in two reports. */
export type ComparedRow = RowName & {
  /** New median latency divided by the old one. */
  readonly ratio: number
  /** How much of the ratio the machine may have caused, from how far the rounds of both reports are apart. */
  readonly noise: number
  readonly verdict: 'same' | 'faster' | 'slower'
}

/** What became faster or slower since an older report. */
export interface BenchComparison {
  readonly rows: readonly ComparedRow[]
  /** Rows of either report that the other one does not have, or where it failed. */
  readonly unmatched: readonly RowName[]
  /** Set when the reports are of different machines: the ratios then mean little. */
  readonly machines?: { readonly before: string; readonly now: string }
}

/** Compares two reports row by row. */
export function compareReports(before: BenchReport, now: BenchReport): BenchComparison {
  const older = new Map(measuredRows(before).map((row) => [rowKey(row), row]))
  const newer = new Map(measuredRows(now).map((row) => [rowKey(row), row]))
  const rows = [...newer].flatMap(([key, row]) => {
    const old = older.get(key)
    return old ? [compareRow(old, row)] : []
  })
  const unmatched = [...before.rows, ...now.rows].filter((row) => !older.has(rowKey(row)) || !newer.has(rowKey(row)))
  const names = new Map(unmatched.map((row) => [rowKey(row), nameOf(row)]))
  const machines = { before: machineText(before), now: machineText(now) }
  return { rows, unmatched: [...names.values()], ...(machines.before !== machines.now && { machines }) }
}

/** Rows that became slower than `limit` times the old latency, by more than noise. */
export function rowsAbove({ rows }: BenchComparison, limit: number): readonly ComparedRow[] {
  return rows.filter(({ ratio, verdict }) => verdict === 'slower' && ratio > limit)
}

function compareRow(old: RowName & RowFigures, now: RowName & RowFigures): ComparedRow {
  const ratio = now.latency.median / old.latency.median
  const noise = spread(old.rounds) + spread(now.rounds)
  return { ...nameOf(now), ratio, noise, verdict: verdictOf(ratio, noise) }
}

function verdictOf(ratio: number, noise: number): ComparedRow['verdict'] {
  if (Math.abs(ratio - 1) <= noise) return 'same'
  return ratio > 1 ? 'slower' : 'faster'
}

/** Half the distance from the 10th to the 90th percentile, as a share of the median. */
function spread(rounds: readonly number[]): number {
  const sorted = rounds.toSorted((a, b) => a - b)
  return (percentile(sorted, 0.9) - percentile(sorted, 0.1)) / (2 * median(sorted))
}

function measuredRows({ rows }: BenchReport): readonly (RowName & RowFigures)[] {
  return rows.filter((row): row is RowName & RowFigures => !('failed' in row))
}

function nameOf({ engine, backend, label, concurrency }: RowName): RowName {
  return { engine, backend, label, concurrency }
}

function rowKey(row: RowName): string {
  return JSON.stringify(nameOf(row))
}

function machineText({ machine: { cpu, threads, platform, arch } }: BenchReport): string {
  return `${cpu}, ${threads} threads, ${platform} ${arch}`
}

const positive = v.pipe(v.number(), v.gtValue(0))
const name = { engine: v.string(), backend: v.string(), label: v.string(), concurrency: v.number() }
const row = v.union([
  v.looseObject({ ...name, failed: v.string() }),
  v.looseObject({
    ...name,
    latency: v.looseObject({ median: positive }),
    rounds: v.pipe(v.array(positive), v.minLength(1)),
  }),
])
const machine = { cpu: v.string(), threads: v.number(), platform: v.string(), arch: v.string() }
const schema = v.looseObject({ schema: v.literal(1), machine: v.looseObject(machine), rows: v.array(row) })

/** Reads the text of a saved report. Throws OPTION_INVALID for any other file. */
export function parseReport(file: string, text: string): BenchReport {
  const hint = 'Write it with `unplugin-onnx bench model.onnx --save FILE`'
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new OnnxEngineError('OPTION_INVALID', file, { expected: 'JSON', received: textOf(cause), hint, cause })
  }
  const result = v.safeParse(schema, value)
  // What compareReports reads was checked.
  if (result.success) return value as BenchReport
  const [issue] = result.issues
  const place = v.getDotPath(issue)
  throw new OnnxEngineError('OPTION_INVALID', place === null ? file : `${file}: ${place}`, {
    expected: 'a saved report of bench',
    received: issue.received,
    hint,
  })
}

/** Whether any row was measured. */
export function hasFigures({ rows }: BenchReport): boolean {
  return rows.some((row: BenchRow) => !('failed' in row))
}

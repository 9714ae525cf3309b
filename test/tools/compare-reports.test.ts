import { describe, expect, test } from 'vitest'
import { compareReports, parseReport, rowsAbove } from '../../plugin/bench/compare-reports.ts'
import type { BenchReport, BenchRow, RowFigures, RowName } from '../../plugin/bench/contract.ts'
import { benchText, comparisonText } from '../../plugin/cli/bench-tables.ts'
import { plainPaint } from '../../plugin/terminal/table.ts'

const latency = { count: 10, min: 1, mean: 1, median: 1, p90: 1, p95: 1, p99: 1, max: 1 }

/** A report with a row of fp32 whose rounds have these medians. */
function report(rounds: readonly number[], concurrency = 1): BenchReport {
  const middle = rounds[rounds.length >> 1] ?? 1
  const figures: RowFigures = {
    size: 1,
    build: null,
    accuracy: null,
    load: 1,
    first: 1,
    latency: { ...latency, median: middle },
    throughput: 1,
    memory: 1,
    loopDelay: 1,
    gpu: null,
    rounds,
  }
  return {
    schema: 1,
    model: 'm',
    machine: { cpu: 'c', threads: 2, platform: 'linux', arch: 'x64', node: '20.0.0' },
    inputs: { origin: 'random', tensors: [] },
    rows: [{ engine: 'fp32', backend: 'onnxruntime', label: '', concurrency, ...figures }],
  }
}

const steady = report([10, 10, 10])

describe('the table of a bench', () => {
  const [row] = steady.rows
  const figures = row as RowName & RowFigures
  const gpu = { hostToDevice: latency, compute: { ...latency, median: 2, p99: 3 }, deviceToHost: latency }
  const table = (...rows: readonly BenchRow[]) => benchText({ ...steady, rows }, plainPaint)

  test('has the times of a GPU, or why it was not timed', () => {
    const text = table(
      { ...figures, backend: 'tensorrt', gpu },
      { ...figures, backend: 'tensorrt', engine: 'fp16', gpu: { failed: 'out of memory\u001B[2J' } },
    )
    expect(text.split('\n').slice(-4)).toMatchInlineSnapshot(`
      [
        "",
        "  ms on the GPU            callers  to device   p99  compute   p99  to host   p99",
        "  fp32           tensorrt        1       1.00  1.00     2.00  3.00     1.00  1.00",
        "not timed on the GPU  fp16 tensorrt: "out of memory\\u001b[2J"",
      ]
    `)
  })

  test('has no line of a GPU without one', () => {
    expect(table(figures)).not.toContain('GPU')
  })
})

describe('two reports', () => {
  test.each<[string, BenchReport, { verdict: string; ratio: number; fails: boolean }]>([
    ['equal medians are the same', report([10, 10, 10]), { verdict: 'same', ratio: 1, fails: false }],
    ['a larger median is slower', report([12, 12, 12]), { verdict: 'slower', ratio: 1.2, fails: true }],
    ['a smaller median is faster', report([5, 5, 5]), { verdict: 'faster', ratio: 0.5, fails: false }],
    [
      'a little slower is below the limit',
      report([10.5, 10.5, 10.5]),
      { verdict: 'slower', ratio: 1.05, fails: false },
    ],
    ['rounds that are far apart hide a difference', report([8, 12, 16]), { verdict: 'same', ratio: 1.2, fails: false }],
  ])('%s', (_, now, { verdict, ratio, fails }) => {
    const comparison = compareReports(steady, now)
    expect(comparison.rows).toMatchObject([{ verdict, ratio }])
    expect(rowsAbove(comparison, 1.1)).toHaveLength(fails ? 1 : 0)
  })

  test('rows without a partner and other machines are named', () => {
    const other = report([10], 4)
    const comparison = compareReports(steady, { ...other, machine: { ...other.machine, cpu: 'd' } })
    expect(comparisonText(comparison, plainPaint)).toMatchInlineSnapshot(`
      "compared with the saved report: median latency now / before, and what noise may cause
        not in both: fp32 onnxruntime
        not in both: fp32 onnxruntime, 4 callers
      the reports are of different machines: c, 2 threads, linux x64; d, 2 threads, linux x64"
    `)
  })
})

describe('a saved report', () => {
  test('is read as it was written', () => {
    expect(parseReport('a.json', JSON.stringify(steady))).toEqual(steady)
  })

  test.each<[string, string, RegExp]>([
    ['that is no JSON', '{', /^a\.json: expected JSON/],
    ['of another format', '{"schema": 2}', /expected a saved report of bench/],
    [
      'with a row without rounds',
      JSON.stringify({ ...steady, rows: [{ ...steady.rows[0], rounds: [] }] }),
      /a\.json: /,
    ],
    ['with a median of 0', JSON.stringify(steady).replace('"median":10', '"median":0'), /a\.json: /],
  ])('%s is refused', (_, text, message) => {
    expect(() => parseReport('a.json', text)).toThrow(message)
  })
})

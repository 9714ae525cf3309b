import type { BenchComparison } from '../bench/compare-reports.ts'
import type { BenchReport, GpuLatency, RowFigures, RowName } from '../bench/contract.ts'
import type { BenchProgress } from '../bench/run-bench.ts'
import { type Cell, type Paint, plain, table } from '../terminal/table.ts'
import { formatBytes } from '../text.ts'

/** Text of `unplugin-onnx bench`: what each engine costs, its latencies, and why some rows have no figures. */
export function benchText(report: BenchReport, paint: Paint): string {
  const { machine, inputs, rows } = report
  const measured = rows.filter((row): row is RowName & RowFigures => !('failed' in row))
  const isFirst = (row: RowName) => row.concurrency === rows[0]?.concurrency
  const accurate = measured.filter((row) => row.accuracy && isFirst(row))
  const timed = measured.filter((row): row is TimedRow => row.gpu !== null && !('failed' in row.gpu))
  const untimed = measured.flatMap(({ gpu, ...name }) =>
    gpu && 'failed' in gpu
      ? [`${paint('yellow', 'not timed on the GPU')}  ${rowText(name)}: ${plain(gpu.failed)}`]
      : [],
  )
  const failed = rows.filter((row): row is RowName & { failed: string } => 'failed' in row && isFirst(row))
  const tensors = inputs.tensors.map(({ name, dtype, dims }) => `${plain(name)} ${dtype}[${dims.join(', ')}]`)
  const cpu = `${machine.cpu}, ${machine.threads} threads, ${machine.platform} ${machine.arch}, Node.js ${machine.node}`
  return [
    paint('bold', `${plain(report.model)}  ${cpu}`),
    `inputs: ${plain(inputs.origin)}  ${tensors.join(', ')}`,
    ...(measured.length > 0 ? ['', ...engineTable(measured.filter(isFirst), paint)] : []),
    ...(measured.length > 0 ? ['', ...latencyTable(measured, paint)] : []),
    ...(timed.length > 0 ? ['', ...gpuTable(timed, paint)] : []),
    ...(accurate.length > 0 ? ['', ...accuracyTable(accurate, paint)] : []),
    ...untimed,
    ...failed.map(({ failed: reason, ...name }) => `${paint('yellow', 'not measured')}  ${rowText(name)}: ${reason}`),
  ].join('\n')
}

function engineTable(rows: readonly (RowName & RowFigures)[], paint: Paint): readonly string[] {
  const heads = ['engine', 'backend', 'build', 'size', 'load', 'first', 'memory', 'loop delay']
  const body = rows.map((row): Cell[] => [
    row.engine,
    backendText(row),
    row.build === null ? '-' : `${row.build.seconds.toFixed(1)} s`,
    formatBytes(row.size),
    ms(row.load),
    ms(row.first),
    formatBytes(row.memory),
    ms(row.loopDelay),
  ])
  return table([heads.map(dim), ...body], { paint, right: [2, 3, 4, 5, 6, 7] })
}

function accuracyTable(rows: readonly (RowName & RowFigures)[], paint: Paint): readonly string[] {
  const body = rows.map(({ accuracy, ...row }): Cell[] => [
    row.engine,
    backendText(row),
    accuracy?.maxAbs?.toExponential(1) ?? 'not finite',
    accuracy?.cosine.toFixed(6) ?? '',
  ])
  return table([['against fp32', '', 'max abs', 'cosine'].map(dim), ...body], { paint, right: [2, 3] })
}

function latencyTable(rows: readonly (RowName & RowFigures)[], paint: Paint): readonly string[] {
  const heads = ['ms', '', 'callers', 'min', 'mean', 'median', 'p90', 'p95', 'p99', 'max', 'calls/s']
  const fastest = Math.min(...rows.map(({ latency }) => latency.median))
  const body = rows.map((row): Cell[] => {
    const { min, mean, median, p90, p95, p99, max } = row.latency
    const texts = [min, mean, median, p90, p95, p99, max].map((time): Cell => digits(time))
    if (median === fastest) texts[2] = { text: digits(median), style: 'green' }
    return [row.engine, backendText(row), String(row.concurrency), ...texts, digits(row.throughput)]
  })
  return table([heads.map(dim), ...body], { paint, right: [2, 3, 4, 5, 6, 7, 8, 9, 10] })
}

// The copies and the computation of trtexec's report.
function gpuTable(rows: readonly TimedRow[], paint: Paint): readonly string[] {
  const heads = ['ms on the GPU', '', 'callers', 'to device', 'p99', 'compute', 'p99', 'to host', 'p99']
  const body = rows.map(({ gpu, ...row }): Cell[] => {
    const times = [gpu.hostToDevice, gpu.compute, gpu.deviceToHost]
    const figures = times.flatMap(({ median, p99 }) => [digits(median), digits(p99)])
    return [row.engine, backendText(row), String(row.concurrency), ...figures]
  })
  return table([heads.map(dim), ...body], { paint, right: [2, 3, 4, 5, 6, 7, 8] })
}

type TimedRow = RowName & RowFigures & { readonly gpu: GpuLatency }

function dim(text: string): Cell {
  return { text, style: 'dim' }
}

/** Text of `--compare`. */
export function comparisonText({ rows, unmatched, machines }: BenchComparison, paint: Paint): string {
  const styles = { same: 'dim', faster: 'green', slower: 'red' } as const
  const body = rows.map((row): Cell[] => [
    rowText(row),
    `${row.ratio.toFixed(2)}x`,
    `± ${row.noise.toFixed(2)}`,
    { text: row.verdict, style: styles[row.verdict] },
  ])
  return [
    'compared with the saved report: median latency now / before, and what noise may cause',
    ...table(body, { paint, right: [1, 2] }),
    ...unmatched.map((row) => `  not in both: ${rowText(row)}`),
    ...(machines ? [`the reports are of different machines: ${machines.before}; ${machines.now}`] : []),
  ].join('\n')
}

/** The table while engines are measured: what is done of each row, and the time that is left. */
export function progressText({ rows, left }: BenchProgress, width: number): readonly string[] {
  const body = rows.map((row) => [
    rowText(row),
    row.failed === undefined ? bar(row.done) : 'not measured',
    row.median === 0 ? '' : `${digits(row.median)} ms`,
  ])
  return [...table(body, { width, right: [2] }), `  ${Math.ceil(left / 1000)} s left`]
}

/** 'int8 onnxruntime (portable), 4 callers'. */
export function rowText(row: RowName): string {
  const callers = row.concurrency === 1 ? '' : `, ${row.concurrency} callers`
  return `${row.engine} ${backendText(row)}${callers}`
}

function backendText({ backend, label }: Pick<RowName, 'backend' | 'label'>): string {
  return label === '' ? backend : `${backend} (${label})`
}

function bar(share: number): string {
  const filled = Math.round(share * 20)
  return `${'#'.repeat(filled)}${'.'.repeat(20 - filled)}`
}

function ms(time: number): string {
  return `${digits(time)} ms`
}

function digits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import type { BenchReport, RowFigures } from '../../plugin/bench/contract.ts'
import { keptFigures } from '../../plugin/bench/kept-figures.ts'
import { openStore } from '../../plugin/cache/store.ts'
import { runCommand } from '../support/command.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel } from '../support/models.ts'

const folder = tempFolder()
const model = join(folder, 'affine.onnx')
const saved = join(folder, 'report.json')
const bench = (...args: readonly string[]) =>
  runCommand(['bench', ...args, '--duration', '0.05', '--warmup', '0', '--cache-dir', join(folder, 'cache')])
const build = (...args: readonly string[]) =>
  runCommand(['build', model, ...args, '--cache-dir', join(folder, 'cache')])

beforeAll(() => writeFileSync(model, affineModel({ dims: 'batch,4' })))

describe('unplugin-onnx bench', () => {
  it('measures every engine and the plain library side by side, and saves the report', async () => {
    const { code, stdout } = await bench(
      model,
      '--engine',
      'fp32,fp16',
      '--backend',
      'onnxruntime',
      '--concurrency',
      '1,3',
    )
    expect(stdout).toMatch(/fp32 +onnxruntime +[\d.]+ s +[\d.]+ kB/)
    expect(stdout).toMatch(/fp16 +onnxruntime +3 /)
    expect(stdout.split('\n').filter((line) => line.length > 100)).toEqual([])
    expect(code).toBe(0)

    const plain = await bench(model, '--against', 'onnxruntime-node', '--save', saved, '--json', '--iterations', '40')
    const report = JSON.parse(plain.stdout) as BenchReport
    expect(JSON.parse(readFileSync(saved, 'utf8'))).toEqual(report)
    expect(report.rows.at(-1)).toMatchObject({ backend: 'onnxruntime-node', engine: 'fp32', build: null })
    expect(report.inputs.tensors).toEqual([{ name: 'x', dtype: 'float32', dims: [1, 4] }])
    for (const row of report.rows) {
      if ('failed' in row) throw new Error(row.failed)
      const { min, median, p90, p95, p99, max, count } = row.latency
      expect([min, median, p90, p95, p99, max]).toEqual([min, median, p90, p95, p99, max].sort((a, b) => a - b))
      expect(count).toBeGreaterThanOrEqual(40)
      expect(row.throughput).toBeGreaterThan(0)
      expect(row.memory).toBeGreaterThan(10e6)
      expect(row.rounds.length).toBeGreaterThan(0)
    }
  })

  it('keeps the figures of the last run with the engines in the cache', async () => {
    const { stdout } = await bench(model, '--backend', 'onnxruntime', '--concurrency', '3,1', '--json')
    const { rows } = JSON.parse(stdout) as BenchReport
    const store = openStore({ dir: join(folder, 'cache'), maxSize: 1e9, maxAge: 1e9, warn: expect.fail })
    const kept = await Promise.all((await store.list()).map(({ digest }) => keptFigures(store, digest)))
    const single = rows.filter(({ concurrency }) => concurrency === 1)
    expect(single.length).toBeGreaterThan(0)
    for (const row of single) {
      const { latency, throughput } = row as RowFigures
      expect(kept).toContainEqual(expect.objectContaining({ concurrency: 1, latency, throughput, gpu: null }))
    }
  })

  it('compares with a saved report, and fails above a limit that noise does not explain', async () => {
    const report = JSON.parse(readFileSync(saved, 'utf8')) as BenchReport
    const faster = join(folder, 'faster.json')
    const rows = report.rows.map((row) =>
      'failed' in row ? row : { ...row, latency: { ...row.latency, median: row.latency.median / 1000 }, rounds: [1] },
    )
    writeFileSync(faster, JSON.stringify({ ...report, rows }))
    const above = await bench(model, '--compare', faster, '--fail-above', '1.5')
    expect(above).toMatchObject({ code: 1, stdout: expect.stringMatching(/fp32 onnxruntime.* slower/) })
    const below = await bench(model, '--compare', faster, '--fail-above', '1000000')
    expect(below).toMatchObject({ code: 0 })
  })

  it('measures the engines of a manifest, on values from a file', async () => {
    expect(await build('--backend', 'onnxruntime', '--out', folder)).toMatchObject({ code: 0 })
    const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (5, 4), }`.padEnd(117) + '\n'
    const file = join(folder, 'input.npy')
    const magic = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, 118, 0])
    writeFileSync(file, Buffer.concat([magic, Buffer.from(header), Buffer.from(new Float32Array(20).buffer)]))
    const { code, stdout } = await bench(join(folder, 'affine.json'), '--input', file, '--json')
    expect(code).toBe(0)
    const report = JSON.parse(stdout) as BenchReport
    expect(report.inputs.tensors).toEqual([{ name: 'x', dtype: 'float32', dims: [5, 4] }])
    expect(report.rows[0]).toMatchObject({ backend: 'onnxruntime', build: null })
    const drawn = await bench(join(folder, 'affine.json'), '--shapes', 'x:3x4', '--json')
    expect(JSON.parse(drawn.stdout)).toMatchObject({ inputs: { tensors: [{ name: 'x', dims: [3, 4] }] } })
  })

  it.each([
    ['--engine', 'fp16', /--engine does not apply to .*affine\.json\. Its engines are built already/],
    ['--shapes', 'x:1x5', /model 'affine': shapes\.x\[1\]: expected 4/],
  ])('%s %s is refused for a manifest', async (flag, value, message) => {
    const { code, stderr } = await bench(join(folder, 'affine.json'), flag, value)
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(message) })
  })

  it('a precision that cannot be made is a row with its reason, next to those that can', async () => {
    const { code, stdout } = await bench(model, '--engine', 'int8,fp32', '--backend', 'onnxruntime')
    expect(code).toBe(0)
    expect(stdout).toMatch(/not measured {2}int8 onnxruntime: affine: engine=int8: expected calibration samples/)
    expect(stdout).toMatch(/fp32 +onnxruntime +1 /)
  })

  it.each<[string, readonly string[], RegExp]>([
    ['an absent model', ['absent.onnx'], /absent\.onnx: expected an ONNX model, received no file/],
    ['a manifest that is none', [join(folder, 'report.json')], /expected .*received/],
    ['an unknown precision', [model, '--engine', 'fp17'], /bench --engine: expected one of fp32/],
    ['a duration that is no number', [model, '--iterations', '0'], /--iterations 0\. Give a whole number from 1/],
    ['callers that are no number', [model, '--concurrency', '1,x'], /--concurrency x\. Give a whole number/],
    [
      'an input that is absent',
      [model, '--input', 'absent.npy'],
      /affine: input 'absent\.npy': expected files that match/,
    ],
    ['dims that do not fit', [model, '--shapes', 'x:1x5'], /shapes\.x\[1\]: expected 4/],
    ['another library', [model, '--against', 'tensorflow'], /--against: expected one of onnxruntime-node/],
    ['a limit without a report', [model, '--fail-above', '1.1'], /--fail-above needs something to compare with/],
    ['a saved report that is none', [model, '--compare', model], /expected JSON/],
  ])('%s is refused', async (_, args, message) => {
    expect(await bench(...args)).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(message) })
  })
})

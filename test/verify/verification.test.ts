import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ort from 'onnxruntime-node'
import { compile, type Options } from 'unplugin-onnx'
import { describe, expect, test } from 'vitest'
import type { BuildPlan } from '../../plugin/backend/contract.ts'
import { cacheKey } from '../../plugin/cache/key.ts'
import { openStore } from '../../plugin/cache/store.ts'
import { precisionPass } from '../../plugin/compile/passes.ts'
import { addSample, finish, newComparison } from '../../plugin/measure/compare.ts'
import { loadGraph } from '../../plugin/onnx/graph.ts'
import { readModel } from '../../plugin/onnx/model.ts'
import { writeGraph } from '../../plugin/onnx/write.ts'
import { compileOptions, resolveOptions } from '../../plugin/options/resolve.ts'
import { emulateHalf } from '../../plugin/precision/half/emulate.ts'
import { lowerGraph } from '../../plugin/precision/half/lower-graph.ts'
import { roundToHalf, type HalfDType } from '../../plugin/precision/half/rounding.ts'
import { lowerModel } from '../../plugin/precision/lower.ts'
import { findBlame } from '../../plugin/verify/blame.ts'
import { reportEngine, type EngineReport } from '../../plugin/verify/report.ts'
import { tempFolder } from '../support/helpers.ts'
import { onnxModel, scalar, type ModelSpec } from '../support/models.ts'
import { npy, uniform, unround } from '../support/samples.ts'

const folder = tempFolder()
let count = 0

function write(name: string, bytes: Uint8Array | string): string {
  const file = join(folder, name)
  writeFileSync(file, bytes)
  return file
}

/** What is reported of an engine for a GPU, without building it: such engines do not run at build time. */
async function report(
  spec: ModelSpec,
  user: Options,
  backend: 'tensorrt' | 'tensorrt-rtx' = 'tensorrt-rtx',
): Promise<EngineReport & { readonly pins: readonly string[]; readonly lines: readonly string[] }> {
  const file = write(`model${++count}.onnx`, onnxModel(spec))
  const resolved = resolveOptions({ engine: 'fp16', backends: [backend], cache: { dir: 'cache' }, ...user }, folder)
  const lines: string[] = []
  const log = (line: string) => void lines.push(line)
  const options = compileOptions(resolved, { file, query: {} })
  const request = {
    name: 'net',
    model: await readModel(file),
    options,
    backend,
    label: '',
    lowering: 'compute' as const,
    root: folder,
    store: openStore({ ...resolved.cache, warn: log }),
    log,
    warn: log,
    key: cacheKey({ file, options: JSON.stringify(options) }),
    importKey: file,
    manifest: { schema: 1 as const, name: 'net', bindings: { inputs: [], outputs: [] }, variants: [] },
    fresh: true,
    plan: {
      label: '',
      extension: '.engine',
      facts: {},
      requires: {},
      lowering: 'compute',
      worker: new URL('file:///'),
      settings: {},
    } as unknown as BuildPlan,
  }
  const pass = await precisionPass(request)
  const lowered = pass && (await lowerModel(pass, { ...request, log: () => {} }, { into: tempFolder() }))
  const given = await reportEngine({ ...request, pass }, lowered?.report ?? null)
  return { ...given, lines }
}

const io = { inputs: { x: 'float32[1,64]' }, outputs: { y: 'float32[1,64]' } } as const

/** Every constant fits into fp16, and so do the inputs and outputs; b goes up to 90000. */
const overflowing: ModelSpec = {
  ...io,
  nodes: [
    { op: 'Mul', name: 'first', inputs: ['x', 'large'], outputs: ['a'] },
    { op: 'Mul', name: 'second', inputs: ['a', 'large'], outputs: ['b'] },
    { op: 'Mul', name: 'third', inputs: ['b', 'small'], outputs: ['y'] },
  ],
  initializers: { large: scalar(300), small: scalar(2 ** -14) },
}

/** bf16 counts from 512 to 1024 in steps of 4. */
const cancelling: ModelSpec = {
  ...io,
  nodes: [
    { op: 'Add', name: 'up', inputs: ['x', 'far'], outputs: ['a'] },
    { op: 'Sub', name: 'down', inputs: ['a', 'far'], outputs: ['b'] },
    { op: 'Tanh', name: 'end', inputs: ['b'], outputs: ['y'] },
  ],
  initializers: { far: scalar(768) },
}

describe('engine that cannot run at build time', () => {
  test('fp16 is emulated with every value rounded, and the nodes of an inner overflow are named', async () => {
    const failure = report(overflowing, {})
    await expect(failure).rejects.toMatchObject({ code: 'VERIFICATION_FAILED' })
    await expect(failure).rejects.toThrow(
      /^net: engine=fp16 on tensorrt-rtx \(emulated\) differs .* on random inputs: output "y" has NaN or infinity where the fp32 model has numbers\n {2}y {2}max abs not finite of .*\nKeeping these in fp32 fixes it: second \(Mul\), third \(Mul\)\n/s,
    )
  })

  test('bf16 is emulated, and its lost digits are found', async () => {
    expect((await report(overflowing, { engine: 'bf16' })).verification).toMatchObject({
      emulated: true,
      failures: [],
      outputs: [{ compared: 4 * 64 }],
    })
    await expect(report(cancelling, { engine: 'bf16' })).rejects.toThrow(
      /engine=bf16 on tensorrt-rtx \(emulated\) .*Keeping these in fp32 fixes it: up \(Add\), down \(Sub\)\n/s,
    )
  })

  test('pinning the nodes to blame, as autoPin does, makes it pass', async () => {
    const { pins, lines } = await report(overflowing, { precision: { autoPin: true } })
    expect(pins).toEqual(['second', 'third'])
    expect(lines).toContain('net: pinned to fp32: second, third')
    const pinned = await report(overflowing, { precision: { fp32: [...pins] } })
    expect(pinned.verification).toMatchObject({ emulated: true, failures: [], blame: [] })
    expect(pinned.lines.at(-1)).toMatch(
      /^net {2}fp16 {2}tensorrt-rtx: .*max abs \d\.\de-\d, cosine 1\.00000, argmax [\d.]+% \(random inputs, emulated\)$/,
    )
  })

  test('a loss without few nodes to blame is reported as spread, and autoPin pins its nodes all the same', async () => {
    const nodes = Array.from({ length: 40 }, (_, i) => ({
      op: i % 2 === 0 ? 'Tanh' : 'Atan',
      name: `n${i}`,
      inputs: [i === 0 ? 'x' : `v${i}`],
      outputs: [i === 39 ? 'y' : `v${i + 1}`],
    }))
    const verify = { cosine: 0.9999999 }
    await expect(report({ ...io, nodes }, { verify })).rejects.toThrow(
      /\nThe loss is spread over many nodes or weights: \d\d of 40 would have to stay in fp32\. Most is lost from n\d+ to n\d+ \(5, \d+%\), [^]*Use another precision, or allow more/,
    )
    const { pins } = await report({ ...io, nodes }, { verify, precision: { autoPin: true } })
    expect(pins.length).toBeGreaterThan(10)
  })

  test('int8 is emulated by its Q/DQ, which are exact in fp32', async () => {
    // A product with one row stays in floating point.
    const rows: ModelSpec = { ...product, inputs: { x: 'float32[2,64]' }, outputs: { y: 'float32[2,64]' } }
    write('calibrate.npy', npy([2, 64], uniform(128, 5, 1)))
    const { lines, verification } = await report(rows, { engine: 'int8', calibration: 'calibrate.npy' }, 'tensorrt')
    expect(lines.at(-1)).toMatch(
      /^net {2}int8 {2}tensorrt: .*max abs \d\.\de-\d, cosine 0\.99\d+, .* \(1 sample, emulated\)$/,
    )
    expect(verification?.outputs[0]!.maxAbs).toBeGreaterThan(0)
  })

  test.each(['float16', 'bfloat16'] as const)('%s is emulated to the bit', async (dtype) => {
    const file = write(
      `exact-${dtype}.onnx`,
      onnxModel({
        ...io,
        opset: 22,
        irVersion: 10,
        nodes: [
          { op: 'Mul', inputs: ['x', 'third'], outputs: ['a'] },
          { op: 'Add', inputs: ['a', 'third'], outputs: ['b'] },
          { op: 'Mul', inputs: ['b', 'a'], outputs: ['y'] },
        ],
        initializers: { third: scalar(1 / 3) },
      }),
    )
    const graph = await loadGraph(file)
    await lowerGraph(graph, { dtype, maxValue: 4096, maxDepth: Infinity, pinned: new Set() })
    emulateHalf(graph)
    await writeGraph(graph, `${file}.emulated`)
    const session = await ort.InferenceSession.create(`${file}.emulated`, { graphOptimizationLevel: 'disabled' })
    const x = uniform(64, 1, 100)
    const { y } = await session.run({ x: new ort.Tensor('float32', x, [1, 64]) })
    const half = (values: Float32Array) => round(values, dtype)
    const third = half(Float32Array.of(1 / 3))[0]!
    const a = half(half(x).map((value) => value * third))
    const b = half(a.map((value) => value + third))
    expect(y!.data).toEqual(half(b.map((value, i) => value * a[i]!)))
  })
})

function round(values: Float32Array, dtype: HalfDType): Float32Array {
  return unround(roundToHalf[dtype](values), dtype)
}

/** Two outputs: rows whose largest element fp16 cannot tell from the next, and a large sum that is the same in fp16. */
const rows: ModelSpec = {
  inputs: { x: 'float32[1,4]' },
  outputs: { y: 'float32[1,4]', same: 'float32[1,4]' },
  nodes: [
    { op: 'Mul', name: 'scale', inputs: ['x', 'close'], outputs: ['y'] },
    { op: 'Neg', name: 'negate', inputs: ['x'], outputs: ['same'] },
  ],
  initializers: { close: { dtype: 'float32', dims: [4], data: [1, 1 + 2 ** -12, 1, 0.5] } },
}

describe('output that is too far from fp32', () => {
  const samples = './ones.mjs'
  write('ones.mjs', 'export default [{ x: Float32Array.of(1, 1, 1, 1) }, { x: Float32Array.of(1, 1, 1, 1) }]')

  test.each<[Options['verify'], RegExp]>([
    [{ argmax: 0.9 }, /: output "y" has the same largest element in 0% of its rows, less than 90%\n/],
    [{ atol: 1e-4 }, /: output "y" has 2 elements beyond atol and rtol\n/],
    [{ rtol: 1e-4 }, /: output "y" has 2 elements beyond atol and rtol\n/],
    [{ cosine: 1 }, /: output "y" has cosine 0\.99999\d+, less than 1\n/],
  ])('an output beyond %j fails the build, with a row for each output and the node', async (limits, message) => {
    const failure = report(rows, { verify: { samples, ...limits } })
    await expect(failure).rejects.toMatchObject({ code: 'VERIFICATION_FAILED' })
    await expect(failure).rejects.toThrow(message)
    await expect(failure).rejects.toThrow(
      /on 2 samples: [^\n]*\n {2}y {2}max abs 2\.4e-4 of 1\.00 {2}cosine 1\.00000 {2}argmax 0%\n {2}same {2}max abs 0\.0e\+0 of 1\.00 {2}cosine 1\.00000 {2}argmax 100%\nKeeping these in fp32 fixes it: scale \(Mul\)\n/,
    )
  })

  test('an output within every limit passes', async () => {
    const { verification } = await report(rows, {
      verify: { samples, argmax: 0, atol: 1e-4, rtol: 2e-4, cosine: 0.9999 },
    })
    expect(verification).toMatchObject({ inputs: '2 samples', failures: [] })
  })
})

describe('a metric of the user', () => {
  const samples = './ones.mjs'
  const argmaxOf = `
import { rows } from './rows.mjs'
const largest = (values) => values.indexOf(Math.max(...values))
export default ({ y }, candidate) => Number(largest(rows(y)) === largest(rows(candidate.y)))
export const atLeast = 0.9`
  write('rows.mjs', `export const rows = ({ data }) => [...data]`)

  test.each<[string, string, RegExp]>([
    ['is too low', argmaxOf, /: the metric .\/metric.mjs is 0 on average, and 0 on sample 1, less than 0\.9\n/],
    [
      'is too high',
      'export default ({ y }, { y: z }) => Math.max(...y.data.map((v, i) => Math.abs(v - z.data[i])))\n' +
        'export const atMost = 0',
      /the metric .\/metric.mjs is 0\.00024414 on average, and 0\.00024414 on sample 1, more than 0\n/,
    ],
    [
      'throws',
      `export default () => { throw new Error('no boxes') }\nexport const atLeast = 1`,
      /sample 1: .*no boxes/,
    ],
    [
      'gives NaN',
      'export default () => NaN\nexport const atLeast = 1',
      /sample 1: expected a finite number, received NaN/,
    ],
  ])('that %s fails the build', async (_, text, message) => {
    write('metric.mjs', text)
    const failure = report(rows, { verify: { samples, metric: './metric.mjs' } })
    await expect(failure).rejects.toMatchObject({ code: 'VERIFICATION_FAILED' })
    await expect(failure).rejects.toThrow(message)
  })

  test.each<[string, string, RegExp]>([
    ['has no function', 'export const atLeast = 1', /expected a default export that is a function/],
    ['has no limit', 'export default () => 1', /expected 'export const atLeast' or .* received none/],
    ['has two limits', 'export default () => 1\nexport const atLeast = 1, atMost = 2', /one of the two/],
    ['cannot be loaded', `import './nowhere.mjs'`, /expected a module that can be loaded/],
  ])('whose module %s is an error of the option', async (_, text, message) => {
    write('broken.mjs', text)
    const failure = report(rows, { verify: { samples, metric: './broken.mjs' } })
    await expect(failure).rejects.toMatchObject({ code: 'OPTION_INVALID' })
    await expect(failure).rejects.toThrow(message)
  })

  test('without samples, or without a file, is an error of the option', async () => {
    await expect(report(rows, { verify: { metric: './metric.mjs' } })).rejects.toThrow(
      /verify\.metric.*expected samples/,
    )
    await expect(report(rows, { verify: { samples, metric: './nowhere.mjs' } })).rejects.toThrow(/nothing at .*nowhere/)
  })

  test('within its limit passes, in TypeScript too, and decides instead of the default limits', async () => {
    write(
      'metric.ts',
      `import { worst } from './worst.ts'
type Tensors = Record<string, { data: Float32Array }>
export default (reference: Tensors, candidate: Tensors, inputs: Tensors): number =>
  inputs['x']?.data[0] === 1 ? worst(reference['y']!.data, candidate['y']!.data) : NaN
export const atMost = 1`,
    )
    write(
      'worst.ts',
      `export const worst = (a: Float32Array, b: Float32Array) => Math.max(...a.map((v, i) => Math.abs(v - b[i]!)))`,
    )
    const { verification, lines } = await report(rows, { verify: { samples, metric: './metric.ts' } })
    expect(verification).toMatchObject({
      failures: [],
      metric: { module: './metric.ts', mean: 2 ** -12, worst: { sample: 1, value: 2 ** -12 }, limit: { atMost: 1 } },
    })
    expect(lines.at(-1)).toContain('metric 0.00024414, max abs')
    // What it imports is a part of it.
    write('worst.ts', 'export const worst = () => 2')
    await expect(report(rows, { verify: { samples, metric: './metric.ts' } })).rejects.toThrow(/is 2 on average/)
  })
})

describe('verification samples', () => {
  const line: ModelSpec = {
    ...rows,
    inputs: { x: 'float32[1,n]' },
    nodes: [
      { op: 'Neg', inputs: ['x'], outputs: ['y'] },
      { op: 'Add', inputs: ['x', 'close'], outputs: ['same'] },
    ],
  }

  test('samples of verify come before those of calibration, random inputs last', async () => {
    write('one.npy', npy([1, 4], [1, 2, 3, 4]))
    write('two.mjs', 'export default [1, 2].map((x) => ({ x: { data: Float32Array.of(x, x, x, x), dims: [1, 4] } }))')
    const cases: readonly (readonly [Options, string])[] = [
      [{ calibration: 'one.npy', verify: { samples: 'two.mjs' } }, '2 samples'],
      [{ calibration: 'one.npy' }, '1 sample'],
      [{}, 'random inputs'],
    ]
    for (const [options, inputs] of cases)
      expect((await report(line, { ...options, shapes: { x: [1, 4] } })).verification).toMatchObject({ inputs })
  })

  test('random inputs give shape tensors what the first profile is tuned for', async () => {
    const expand: ModelSpec = {
      inputs: { x: 'float32[1,4]', shape: 'int64[2]' },
      outputs: { y: 'float32[?,?]' },
      nodes: [
        { op: 'Exp', inputs: ['x'], outputs: ['e'] },
        { op: 'Expand', inputs: ['e', 'shape'], outputs: ['y'] },
      ],
    }
    const verified = async (...opt: readonly number[]) =>
      (
        await report(expand, {
          profiles: [{ min: {}, opt: {}, max: {}, values: { shape: { min: [1, 1], opt, max: [16, 4] } } }],
        })
      ).verification
    expect(await verified(8, 4)).toMatchObject({
      inputs: 'random inputs',
      outputs: [{ compared: 4 * 8 * 4 }],
      failures: [],
    })
    // Four columns cannot become three.
    expect((await verified(8, 3))?.skipped).toMatch(/^the fp32 model does not run on random inputs: /)
  })

  test.each<[title: string, file: string, content: string | Uint8Array, message: RegExp]>([
    [
      'of a wrong name',
      'name.mjs',
      'export default [{ z: Float32Array.of(1) }]',
      /^net: verification samples 'name\.mjs', sample 0: .*input "z": expected "x"/,
    ],
    [
      'of a wrong dtype',
      'dtype.npy',
      npy([1, 4], Float64Array.of(1, 2, 3, 4), '<f8'),
      /^net: verification samples 'dtype\.npy', sample dtype: .*expected dtype float32, received dtype "float64"/,
    ],
    [
      'of a wrong rank',
      'rank.npy',
      npy([4], [1, 2, 3, 4]),
      /^net: verification samples 'rank\.npy', sample rank: .*float32\[1,n\]/,
    ],
    [
      'of a shape that the fp32 model cannot run',
      'shape.npy',
      npy([1, 3], [1, 2, 3]),
      /^net: verification samples 'shape\.npy', sample 1: the fp32 model cannot run it: /,
    ],
    ['with NaN', 'nan.npy', npy([1, 4], [1, 2, NaN, 4]), /expected numbers for input "x", received NaN at element 2/],
    ['without elements', 'empty.npy', npy([1, 0], []), /expected elements for input "x", received none/],
    ['that are none', 'none.mjs', 'export default []', /expected at least one sample, received none/],
    ['that are not there', '*.npz', '', /verification samples '\*\.npz': expected files that match/],
    ['from a module that throws', 'throws.mjs', 'throw new Error("no camera")', /the module: no camera/],
    [
      'from a module that needs a missing package',
      'needs.mjs',
      `import 'no-such-package-here'`,
      /Cannot find package 'no-such-package-here'.*Install the package/s,
    ],
  ])('%s are refused', async (_, file, content, message) => {
    if (!file.includes('*')) write(file, content)
    const failure = report(line, { verify: { samples: file } })
    await expect(failure).rejects.toMatchObject({
      name: 'OnnxEngineError',
      code: 'SAMPLES_INVALID',
      message: expect.stringMatching(message),
    })
  })

  test('a module that never ends is read up to the limit', async () => {
    write(
      'endless.mjs',
      'export default (function* () { for (;;) yield { x: { data: Float32Array.of(1, 2, 3, 4), dims: [1, 4] } } })()',
    )
    expect(
      (await report(line, { verify: { samples: { samples: 'endless.mjs', limit: 3 } } })).verification,
    ).toMatchObject({ inputs: '3 samples', failures: [] })
  })

  test('a module that never yields is given up after its own timeout', async () => {
    write('hangs.mjs', 'await new Promise(() => setInterval(() => {}, 1000))')
    await expect(report(line, { verify: { samples: { samples: 'hangs.mjs', timeout: 300 } } })).rejects.toThrow(
      /expected a sample within 0\.3 s, received none\. .*'verify\.samples\.timeout'/,
    )
  })
})

/** y is the root of a negative number. */
const roots: ModelSpec = {
  inputs: { x: 'float32[1,4]' },
  outputs: { y: 'float32[1,4]', z: 'float32[1,4]' },
  nodes: [
    { op: 'Abs', inputs: ['x'], outputs: ['z'] },
    { op: 'Sub', inputs: ['minus', 'z'], outputs: ['a'] },
    { op: 'Sqrt', inputs: ['a'], outputs: ['y'] },
  ],
  initializers: { minus: scalar(-1) },
}
const alone: ModelSpec = { ...roots, outputs: { y: 'float32[1,4]' } }

describe('fp32 model without finite outputs', () => {
  test('a model without finite outputs on random inputs is not reported as verified', async () => {
    const { lines, verification } = await report(alone, {})
    expect(lines.at(-1)).toMatch(/, not verified: the fp32 model gives no finite number on random inputs$/)
    expect(verification).toMatchObject({ outputs: [{ compared: 0, nonFinite: 16 }] })
  })

  test('one output without finite numbers is not reported as verified', async () => {
    const { lines } = await report(roots, {})
    expect(lines.at(-1)).toMatch(
      /cosine 1\.00000, argmax 100% \(random inputs, emulated\), output "y" not verified: NaN or infinite in the fp32 model already$/,
    )
  })

  test('no finite output on samples of the user is an error', async () => {
    write('four.npy', npy([1, 4], [1, 2, 3, 4]))
    await expect(report(roots, { verify: { samples: 'four.npy' } })).rejects.toMatchObject({
      code: 'VERIFICATION_FAILED',
      message:
        'net: output "y" on 1 sample: expected numbers from the fp32 model, received NaN or infinity ' +
        'in all 4 elements before anything was lowered. Check the samples, or the model itself with ' +
        '?engine=fp32',
    })
  })
})

const product: ModelSpec = {
  ...io,
  nodes: [{ op: 'MatMul', name: 'product', inputs: ['x', 'w'], outputs: ['y'] }],
  initializers: { w: { dtype: 'float32', dims: [64, 64], data: [...uniform(64 * 64, 3, 1)] } },
}

/** A module of samples whose process dies when ONNX Runtime runs a model for the n-th time. */
function crashAt(n: number): string {
  return `import ort from ${JSON.stringify(import.meta.resolve('onnxruntime-node'))}
    const { prototype } = ort.InferenceSession
    const { run } = prototype
    let calls = 0
    prototype.run = function (...given) {
      if (calls++ === ${n}) process.kill(process.pid, 'SIGKILL')
      return run.apply(this, given)
    }
    export default [{ x: new Float32Array(64).fill(1) }]`
}

describe('unfinished comparison', () => {
  test('a comparison out of time names the limit, ends its process, and leaves the engine in the cache', async () => {
    const file = write('slow.onnx', onnxModel(product))
    // Read twice: for the digest, and for the comparison, which it holds up for ever.
    write(
      'slow.mjs',
      `import { existsSync, writeFileSync } from 'node:fs'
      const [seen, pid] = [new URL('./slow.seen', import.meta.url), new URL('./slow.pid', import.meta.url)]
      const again = existsSync(seen)
      writeFileSync(again ? pid : seen, String(process.pid))
      export default (function* () {
        if (again) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
        yield { x: new Float32Array(64) }
      })()`,
    )
    const options = {
      root: folder,
      engine: 'fp16',
      backends: ['onnxruntime'],
      onnxruntime: { portable: false },
      cache: { dir: 'cache' },
    } as const
    await expect(compile(file, { ...options, verify: { samples: 'slow.mjs', timeout: 6000 } })).rejects.toMatchObject({
      code: 'VERIFICATION_FAILED',
      message:
        `slow: expected a comparison within 6 s, received none. Raise 'verify.timeout', give fewer ` +
        `samples, or set 'verify: false'`,
    })
    expect(() => process.kill(Number(readFileSync(join(folder, 'slow.pid'), 'utf8')), 0)).toThrow('ESRCH')
    const { variants } = await compile(file, options)
    expect(variants[0]).toMatchObject({ cache: { hit: true }, report: { verification: { failures: [] } } })
  })

  test('a comparison whose process dies is no verdict on the accuracy, and names what ran', async () => {
    write('crash0.mjs', crashAt(0))
    write('crash1.mjs', crashAt(1))
    await expect(report(product, { verify: { samples: 'crash0.mjs' } })).rejects.toMatchObject({
      code: 'INFERENCE_FAILED',
      message: expect.stringMatching(
        /could not be compared with the fp32 model: while it ran the fp32 model: .*the measuring process /,
      ),
    })
    await expect(report(product, { verify: { samples: 'crash1.mjs' } })).rejects.toMatchObject({
      code: 'INFERENCE_FAILED',
      message: expect.stringMatching(
        /^net: engine=fp16 on tensorrt-rtx could not be compared .*: while it ran the engine: .*This says nothing about its accuracy/s,
      ),
    })
  })

  test('a comparison whose process dies costs the engine, with a warning, where another remains', async () => {
    const file = write('dying.onnx', onnxModel(product))
    // The digest is the first to read it.
    write(
      'dying.mjs',
      `import { existsSync, writeFileSync } from 'node:fs'
      const seen = new URL('./dying.seen', import.meta.url)
      if (existsSync(seen)) process.kill(process.pid, 'SIGKILL')
      writeFileSync(seen, '')
      export default [{ x: new Float32Array(64) }]`,
    )
    const warnings: string[] = []
    const options = {
      root: folder,
      engine: 'fp16',
      backends: 'auto',
      onnxruntime: { portable: false },
      verify: { samples: 'dying.mjs' },
      cache: { dir: 'cache' },
    } as const
    await expect(compile(file, options, { warn: (line) => warnings.push(line) })).rejects.toMatchObject({
      code: 'COMPILE_FAILED',
      message: expect.stringContaining('no backend could compile the model'),
    })
    expect(warnings).toContainEqual(
      expect.stringMatching(
        /^dying: built without onnxruntime: dying: engine=fp16 on onnxruntime could not be compared with the fp32 model: while it read a sample: /,
      ),
    )
  })

  test('a search for nodes to blame that is cut short names those that are known to help', async () => {
    const names = Array.from({ length: 16 }, (_, i) => `n${i}`)
    let calls = 0
    const isFine = async (pinned: readonly string[]) => {
      calls++
      return pinned.includes('n3')
    }
    const { names: blamed } = await findBlame(names, { isFine, errorOf: async () => 0, outOfTime: () => calls >= 4 })
    expect(blamed).toContain('n3')
    expect(blamed.length).toBeGreaterThan(1)
    expect(blamed.length).toBeLessThan(16)
  })
})

test('outputs of strings are compared one by one', () => {
  const texts = { dtype: 'string', dims: [4] } as const
  const comparison = newComparison('y', { atol: null, rtol: null })
  addSample(
    comparison,
    { ...texts, data: ['cat', 'dog', 'cow', 'hen'] },
    { ...texts, data: ['cat', 'dog', 'cow', 'pig'] },
  )
  expect(finish(comparison)).toMatchObject({ compared: 4, argmax: 0.75, cosine: expect.closeTo(Math.sqrt(0.75)) })
})

test('outputs with the same numbers and other dims are not the same', () => {
  const comparison = newComparison('y', { atol: null, rtol: null })
  const data = Float32Array.of(1, 2)
  addSample(comparison, { dtype: 'float32', dims: [1, 2], data }, { dtype: 'float32', dims: [1, 1, 2], data })
  expect(finish(comparison).trouble).toBe('expected float32[1, 2], received float32[1, 1, 2]')
})

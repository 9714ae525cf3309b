import { describe, expect, test } from 'vitest'
import { cacheReport, doctorReport, modelReport, staleTypesReport, whyReport } from '../../plugin/cli/reports.ts'
import { linesOf, typesReport } from '../../plugin/types/sync.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'

type Entries = Parameters<typeof cacheReport>[0]
type Records = Parameters<typeof whyReport>[0]
type Model = Parameters<typeof modelReport>[0]

const entry: Entries[number] = {
  digest: '0123456789abcdef0123',
  facts: { model: 'pose', layout: 8, passes: [] },
  sha256: 'ab',
  size: 1_500_000,
  created: 0,
  seconds: 12.345,
  metadata: null,
  file: '/cache/ab',
  used: Date.UTC(2026, 0, 2),
  imports: ['pose.onnx ?engine=fp16 onnxruntime'],
}

describe('the report of inspect', () => {
  const model: Model = {
    file: '/m/pose.onnx',
    size: 2048,
    irVersion: 8,
    opsets: { '': 17, 'com.microsoft': 1 },
    bindings: {
      inputs: [
        { name: 'image', dtype: 'float32', dims: ['batch', 3, null] },
        { name: 'k', dtype: 'int64', dims: [] },
      ],
      outputs: [{ name: 'points', dtype: 'float16', dims: null }],
    },
    initializers: [
      { name: 'w', dtype: 'float32', dims: [10, 100] },
      { name: 'b', dtype: 'int4', dims: [3] },
    ],
    external: [
      { file: 'pose.data', offset: 0, length: 1000 },
      { file: 'pose.data', offset: 1000, length: 500 },
    ],
  }

  test('shows bindings in columns, the bytes of weights and the sum of each external file', () => {
    expect(modelReport(model)).toMatchInlineSnapshot(`
      "/m/pose.onnx  2.0 kB  IR 8  opset 17  com.microsoft 1
      inputs
        image  float32[batch, 3, ?]
        k      int64[]
      outputs
        points  float16 of unknown rank
      initializers  2, 4.0 kB
      external data  pose.data, 1.5 kB
      import  import pose from './pose.onnx?engine=fp32'"
    `)
  })

  test('shows names that would control the terminal as JSON', () => {
    const name = 'x\u001B[2J\u202E\n'
    const text = modelReport({
      ...model,
      bindings: { inputs: [{ name, dtype: 'float32', dims: [name] }], outputs: [] },
    })
    expect(text).toContain(String.raw`  "x\u001b[2J\u{202e}\n"  float32["x\u001b[2J\u{202e}\n"]`)
  })
})

describe('the report of cache ls', () => {
  test.each<[string, Entries, readonly string[]]>([
    ['an empty cache', [], ['0 engines, 0 B in /cache']],
    [
      'an engine in use and one that was superseded',
      [entry, { ...entry, size: 14, seconds: 0.04, imports: [] }],
      [
        '  0123456789ab  1.5 MB  built in 12.3 s  used 2026-01-02  pose.onnx ?engine=fp16 onnxruntime',
        '  0123456789ab  14 B    built in 0.0 s   used 2026-01-02  superseded',
        '2 engines, 1.5 MB in /cache',
      ],
    ],
  ])('lists %s', (_, entries, lines) => {
    expect(cacheReport(entries, '/cache')).toBe(lines.join('\n'))
  })
})

describe('the report of cache why', () => {
  test('shows the reason of each import and every fact of its key', () => {
    const record = { importKey: 'pose.onnx', entry, reason: 'miss: new', at: Date.UTC(2026, 0, 2) }
    expect(whyReport([record, { ...record, importKey: 'face.onnx' }] as Records)).toMatchInlineSnapshot(`
      "pose.onnx  miss: new  2026-01-02T00:00:00.000Z  0123456789ab
        model   pose
        layout  8
        passes

      face.onnx  miss: new  2026-01-02T00:00:00.000Z  0123456789ab
        model   pose
        layout  8
        passes"
    `)
  })

  test('is empty without imports', () => {
    expect(whyReport([])).toBe('')
  })
})

describe('the report of types', () => {
  const sources = { imports: [], dir: '/app/.unplugin-onnx', written: [], removed: [] }

  test.each([
    ['nothing was written', sources, '0 imports of models typed in /app/.unplugin-onnx: 0 files written, 0 removed'],
    [
      'one file was written',
      { ...sources, written: ['types/a.d.onnx.ts'], removed: ['a', 'b'] },
      '0 imports of models typed in /app/.unplugin-onnx: 1 file written, 2 removed',
    ],
  ])('counts files when %s', (_, found, text) => {
    expect(typesReport(found)).toBe(text)
  })

  test.each([
    ['fresh types', sources, '0 imports of models, types in /app/.unplugin-onnx: up to date'],
    [
      'stale types',
      { ...sources, written: ['types/a.d.onnx.ts'], removed: ['types/b\u001B.d.onnx.ts'] },
      [
        'missing or changed: types/a.d.onnx.ts',
        String.raw`no longer imported: "types/b\u001b.d.onnx.ts"`,
        `0 imports of models, types in /app/.unplugin-onnx: 2 files stale. Run 'unplugin-onnx types'`,
      ].join('\n'),
    ],
  ])('--check reports %s', (_, found, text) => {
    expect(staleTypesReport(found)).toBe(text)
  })

  test('prints notes, then problems, without control characters of the terminal', () => {
    const problem = new OnnxEngineError('MODEL_NOT_FOUND', 'import \u001B[31mred\u001B[0m')
    expect(linesOf({ notes: ['a note'], problems: [problem] })).toEqual(['a note', 'import red'])
  })
})

test('the report of doctor shows versions, and reasons and hints for what is missing', () => {
  const text = doctorReport({
    version: '0.1.0',
    node: '22.12.0',
    platform: 'linux',
    arch: 'x64',
    backends: [
      { name: 'onnxruntime', available: true, version: '1.30.0', detail: {} },
      { name: 'openvino', available: false, reason: 'no library', hint: 'Run unplugin-onnx setup openvino' },
      { name: 'tensorrt', available: false, reason: 'no driver' },
    ],
    onnxruntime: { session: 'worker', reason: 'no addon' },
    cache: { dir: '/cache', engines: 1, bytes: 1_500_000 },
  })
  expect(text).toMatchInlineSnapshot(`
    "unplugin-onnx 0.1.0, Node.js 22.12.0, linux x64
      onnxruntime              1.30.0
      openvino                 not found: no library. Run unplugin-onnx setup openvino
      tensorrt                 not found: no driver
      sessions of onnxruntime  in a worker: no addon
      cache                    1 engine, 1.5 MB in /cache"
  `)
})

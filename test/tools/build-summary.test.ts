import { describe, expect, test } from 'vitest'
import type { BuildEvent, EngineEvent } from '../../plugin/compile/events.ts'
import { eventLines, newSummary } from '../../plugin/project/build-summary.ts'
import { liveProgress } from '../../plugin/project/live-progress.ts'
import { liveLine } from '../../plugin/terminal/live.ts'
import { table, wrap } from '../../plugin/terminal/table.ts'

const engine: EngineEvent = {
  event: 'engine',
  model: 'pose',
  file: '/app/models/pose.onnx',
  engine: 'fp32',
  backend: 'onnxruntime',
  label: '',
  hit: true,
  reason: 'hit',
  seconds: 0.012,
  size: 9_400_000,
  sha256: 'ab',
  verified: true,
  report: null,
}
const portable: EngineEvent = { ...engine, label: 'portable', hit: false, reason: 'miss: weights changed', seconds: 12 }

function passedOver(model: string, reason: string): BuildEvent {
  return { event: 'passed-over', model, file: `/app/models/${model}.onnx`, reason }
}

/** What a summary of these events prints. */
function printed(events: readonly BuildEvent[], verbose = false) {
  const summary = newSummary()
  const logs: string[] = []
  const warnings: string[] = []
  const logger = { log: (text: string) => logs.push(text), warn: (text: string) => warnings.push(text) }
  for (const event of events) summary.add(event)
  summary.print(logger, { root: '/app', verbose })
  summary.print(logger, { root: '/app', verbose })
  return { logs, warnings, advice: summary.advice() }
}

describe('the summary of a build', () => {
  test('is one table, with why backends were passed over once and with paths of the app', () => {
    const events = [
      portable,
      engine,
      { ...engine, model: 'face', file: '/app/models/face.onnx', size: 500 },
      passedOver('pose', 'tensorrt: the library of TensorRT was not found'),
      passedOver('face', 'tensorrt: the library of TensorRT was not found'),
      passedOver('pose', `/app/models/pose.onnx: engine=fp16 with openvino on CPU: expected fp32, received fp16`),
    ]
    expect(printed(events).logs.join('\n---\n')).toMatchInlineSnapshot(`
      "unplugin-onnx  2 models, 3 engines, 18.8 MB
        face  fp32  onnxruntime             hit                     500 B   0.01 s
        pose  fp32  onnxruntime             hit                    9.4 MB   0.01 s
        pose  fp32  onnxruntime (portable)  miss: weights changed  9.4 MB  12.00 s
        passed over tensorrt: the library of TensorRT was not found
        passed over engine=fp16 with openvino on CPU: expected fp32, received fp16 (pose)"
    `)
  })

  test('prints nothing when nothing happened', () => {
    expect(printed([])).toEqual({ logs: [], warnings: [], advice: [] })
  })

  test.each<[number, boolean, readonly string[]]>([
    [2, false, ['pose: w0', 'pose: w1']],
    [3, false, [`3 warnings of tensorrt-rtx: set the option 'verbose' to see them`]],
    [3, true, ['pose: w0', 'pose: w1', 'pose: w2']],
  ])('%i warnings of a library, verbose: %s', (count, verbose, expected) => {
    const events = Array.from({ length: count }, (_, index): BuildEvent => ({
      event: 'warning',
      model: 'pose',
      backend: 'tensorrt-rtx',
      text: `w${index}`,
    }))
    // A library repeats itself.
    expect(printed([...events, ...events], verbose).warnings).toEqual(expected)
  })

  test.each<[string, readonly EngineEvent[], readonly string[]]>([
    [
      'two engines of each model',
      [engine, portable],
      [
        'engines add 18.8 MB to the output',
        '  onnxruntime: { portable: false } leaves out 9.4 MB, if all machines have CPUs like this one',
        '  ?engine=fp16 stores weights in half the bytes',
      ],
    ],
    ['one engine that any CPU runs', [{ ...portable, engine: 'fp16' }], ['engines add 9.4 MB to the output']],
    ['small ones', [{ ...engine, size: 999 }], []],
  ])('advises on the size of %s', (_, events, expected) => {
    expect(printed(events).advice).toEqual(expected)
  })

  test('as events has one JSON object in a line, with paths of the app', () => {
    expect(
      eventLines([engine, passedOver('pose', 'x')], '/app')
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as unknown),
    ).toMatchObject([{ event: 'engine', file: 'models/pose.onnx', hit: true }, { event: 'passed-over' }])
  })
})

test('a live line shows long builds after a while, cut to the terminal, and is removed at their end', async () => {
  let written = ''
  const line = liveLine({ columns: 20, write: (text: unknown) => Boolean((written += String(text))) })
  line.show('pose  fp32  onnxruntime: 12 s')
  expect(written).toBe('\rpose  fp32  onnxrun\u001B[K')
  line.clear()
  line.clear()
  expect(written).toBe('\rpose  fp32  onnxrun\u001B[K\r\u001B[K')
  const progress = liveProgress(line)('pose', 3)
  progress.phase('compiling')
  progress.stop()
  expect(written).toBe('\rpose  fp32  onnxrun\u001B[K\r\u001B[K')
})

test('a table cuts lines that are too long, and a wrapped text breaks at spaces', () => {
  expect(table([['a', 'x'.repeat(100)]], { width: 20 })).toEqual([`  a  ${'x'.repeat(12)}...`])
  expect(
    table(
      [
        ['a', '1'],
        ['bb', '22'],
      ],
      { right: [1] },
    ),
  ).toEqual(['  a    1', '  bb  22'])
  expect(wrap('one two three', 2, 8)).toEqual(['one two', '  three'])
})

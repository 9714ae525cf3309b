import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Comparison } from '../../plugin/measure/compare.ts'
import { compareCandidate, type Contest } from '../../plugin/verify/compare-candidate.ts'
import { failuresOf, thresholdOf } from '../../plugin/verify/limits.ts'
import { type Precision, precisions } from '../../runtime/manifest.ts'
import { writeSamples } from '../bench/ocr-samples.ts'
import { contestsOf } from '../support/contest.ts'
import { tempFolder } from '../support/helpers.ts'
import { type ModelSpec, onnxModel } from '../support/models.ts'
import { ocrModel } from '../support/openvino-models.ts'
import { uniform } from '../support/samples.ts'
import { mistakes, nodesWith, writeWrong } from '../support/wrong-models.ts'

const folder = tempFolder()
const samples = join(folder, 'pages')

/** Real nets, and the precisions in whose limits no mistake of the table passes. */
const nets = [
  {
    net: 'the OCR detector on pages',
    file: ocrModel('det_infer.onnx'),
    options: { shapes: { x: [1, 3, 320, 320] }, verify: { samples: join(samples, '*.npy') } },
    // Edges of its map are sharp: right engines in bf16 and int8 change elements by as much.
    refusing: ['fp32', 'fp16'],
  },
  {
    net: 'the OCR classifier on random inputs',
    file: ocrModel('cls_infer.onnx'),
    options: { shapes: { x: [1, 3, 48, 192] } },
    // One wrong channel changes less than rounding does to other nets.
    refusing: ['fp32'],
  },
] as const

beforeAll(async () => {
  const model = { file: ocrModel('det_infer.onnx'), input: 'x', dims: [1, 3, 320, 320] }
  await writeSamples(samples, model, { kind: 'page', count: 2, seed: 2 })
})

/** Precisions in whose limits these outputs are too far away. The noise of fp32 is measured for fp32 only. */
function refusedIn(outputs: readonly Comparison[], { request }: Contest): readonly Precision[] {
  const { options } = request
  return precisions.filter((engine) => {
    const counted = outputs.map(({ noise, ...output }) => (engine === 'fp32' && noise ? { ...output, noise } : output))
    return failuresOf(counted, thresholdOf({ options: { ...options, engine } })).length > 0
  })
}

describe.each(nets)('$net', ({ file, options, refusing }) => {
  let contest: Contest
  beforeAll(async () => {
    const onnxruntime = { optimization: 'extended' } as const
    const [first] = await contestsOf(file, { backends: ['onnxruntime'], onnxruntime, ...options } as never, folder)
    contest = first!
  })

  test('the model itself is refused in no precision', async () => {
    const { outputs } = await compareCandidate(contest, { onnx: file })
    expect(refusedIn(outputs, contest)).toEqual([])
  })

  test.each(mistakes)('an engine with one wrong node is refused: $what', async (mistake) => {
    for (const [place, index] of (await nodesWith(file, mistake, [0.5, 0.9])).entries()) {
      const wrong = join(folder, `wrong${place}.onnx`)
      const node = await writeWrong(file, index, mistake, wrong)
      const { outputs, skipped } = await compareCandidate(contest, { onnx: wrong }, { limit: 2 })
      expect({ node, skipped, refused: refusedIn(outputs, contest) }).toEqual({
        node,
        skipped: undefined,
        refused: expect.arrayContaining([...refusing]),
      })
    }
  })
})

/** Coordinates up to 640 and scores up to 1 in one output, as detectors give them. */
const boxes = (activation: string): ModelSpec => ({
  inputs: { x: 'float32[16,8]' },
  outputs: { y: 'float32[16,12]' },
  nodes: [
    { op: 'MatMul', inputs: ['x', 'w'], outputs: ['m'] },
    { op: activation, inputs: ['m'], outputs: ['scores'] },
    { op: 'Sigmoid', inputs: ['x'], outputs: ['part'] },
    { op: 'Mul', inputs: ['part', 'size'], outputs: ['all'] },
    { op: 'Slice', inputs: ['all', 'from', 'to', 'axis'], outputs: ['corners'] },
    { op: 'Concat', inputs: ['corners', 'scores'], outputs: ['y'], attributes: { axis: 1 } },
  ],
  initializers: {
    w: { dtype: 'float32', dims: [8, 8], data: [...uniform(64, 1, 1)] },
    size: { dtype: 'float32', dims: [], data: [640] },
    from: { dtype: 'int64', dims: [1], data: [0] },
    to: { dtype: 'int64', dims: [1], data: [4] },
    axis: { dtype: 'int64', dims: [1], data: [1] },
  },
})

test('wrong scores next to coordinates are refused in fp32, though they are a thousandth of the output', async () => {
  const [right, wrong] = ['Sigmoid', 'HardSigmoid'].map((activation) => {
    const file = join(folder, `${activation}.onnx`)
    writeFileSync(file, onnxModel(boxes(activation)))
    return file
  }) as [string, string]
  const [contest] = await contestsOf(right, { backends: ['onnxruntime'] }, folder)
  const { outputs } = await compareCandidate(contest!, { onnx: wrong })
  expect(outputs[0]!.cosine).toBeGreaterThan(0.9999)
  expect(outputs[0]!.maxAbs! / outputs[0]!.largest).toBeLessThan(5e-4)
  expect(refusedIn(outputs, contest!)).toEqual(['fp32'])
})

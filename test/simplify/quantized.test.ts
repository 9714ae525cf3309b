import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ort from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import { readModel } from '../../plugin/onnx/model.ts'
import type { Options } from '../../plugin/options/types.ts'
import { tempFolder } from '../support/helpers.ts'
import { onnxModel } from '../support/models.ts'
import { build, missingOpenVino } from '../support/openvino-models.ts'
import { missingTensorRtRtx } from '../support/tensorrt-library.ts'
import { merged, noise, size } from './operator-specs.ts'
import { type QuantizedCase, quantizedCases } from './quantized-cases.ts'
import { simplified, writeCase } from './simplified.ts'

const folder = tempFolder()
const withoutRtx = missingTensorRtRtx()
const withoutOpenVino = missingOpenVino()

const rtx = { backends: ['tensorrt-rtx'], targets: ['sm89'], types: false } as const satisfies Options

// Floating point and ONNX Runtime's integers round a number between two steps differently.
const mostMoved = 0.02

describe('a model that is quantized already', () => {
  test.each(quantizedCases)('$name: floating point comes to the same integers', async (one) => {
    const file = writeCase(folder, one.name, one.model)
    const simpler = join(folder, 'simpler.onnx')
    await simplified(file, simpler, 'tensorrt-rtx')
    const inputs = await inputsOf(file)
    // Optimised, ONNX Runtime computes some of these products in integers again, with other roundings.
    const [expected, received] = [await run(file, inputs), await run(simpler, inputs, 'disabled')]
    expect(Object.keys(received)).toEqual(Object.keys(expected))
    for (const [output, values] of Object.entries(expected)) compare(one, values, received[output]!)
  })

  test.each(quantizedCases)('$name: no operator is left that TensorRT lacks', async (one) => {
    const simpler = join(folder, 'left.onnx')
    const nodes = await simplified(writeCase(folder, one.name, one.model), simpler, 'tensorrt-rtx')
    const left = nodes.filter(({ opType }) => /QLinear|QGemm|Integer|Dynamic/.test(opType))
    expect(left.map(({ opType }) => opType)).toEqual([])
  })

  // One build for all: a builder takes seconds to start.
  test.skipIf(withoutRtx)('all build with TensorRT-RTX', async () => {
    const file = join(folder, 'all.onnx')
    writeFileSync(file, onnxModel(merged(quantizedCases)))
    const { compiled } = await build(folder, file, rtx)
    expect(compiled.variants[0]?.artifact.size).toBeGreaterThan(1000)
  })

  test.skipIf(withoutRtx)(
    'stays in fp32 as fp16, where integers that are computed as floats would overflow',
    async () => {
      const { name, model } = quantizedCases.find((one) => one.name === 'MatMulIntegerToFloat')!
      const { lines } = await build(folder, writeCase(folder, name, model), { ...rtx, engine: 'fp16' })
      expect(lines.join('\n')).toMatch(/is already quantized \(DynamicQuantizeLinear\), so it stays as it is/)
      expect(lines.join('\n')).toMatch(/nothing to lower.*cosine 1\.00000/)
    },
  )

  test.skipIf(withoutOpenVino)('all build with OpenVINO, and have the same numbers', async () => {
    const file = join(folder, 'all-openvino.onnx')
    writeFileSync(file, onnxModel(merged(quantizedCases)))
    const { lines } = await build(folder, file, { types: false })
    expect(lines.filter((line) => line.includes('warning'))).toEqual([])
  })
})

async function inputsOf(file: string): Promise<Record<string, ort.Tensor>> {
  const { bindings } = await readModel(file)
  return Object.fromEntries(
    bindings.inputs.map(({ name, dtype, dims }) => {
      const numbers = noise(size(dims as number[]))
      if (dtype === 'uint8')
        return [
          name,
          new ort.Tensor(
            'uint8',
            Uint8Array.from(numbers, (value) => 127 * value + 128),
            dims as number[],
          ),
        ]
      return [name, new ort.Tensor('float32', numbers, dims as number[])]
    }),
  )
}

async function run(
  file: string,
  feeds: Record<string, ort.Tensor>,
  graphOptimizationLevel: 'all' | 'disabled' = 'all',
): Promise<Record<string, Float32Array>> {
  const session = await ort.InferenceSession.create(file, { logSeverityLevel: 4, graphOptimizationLevel })
  const results = await session.run(feeds)
  await session.release()
  return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, data as Float32Array]))
}

function compare({ step, share = 2e-6 }: QuantizedCase, expected: Float32Array, received: Float32Array): void {
  expect(received).toHaveLength(expected.length)
  const differences = Array.from(expected, (value, at) => Math.abs(value - received[at]!))
  const largest = Math.max(...expected.map(Math.abs))
  expect(new Set(expected).size).toBeGreaterThan(1)
  expect(Math.max(...differences)).toBeLessThanOrEqual(step === undefined ? share * largest : 1.001 * step)
  if (step === undefined) return
  const moved = differences.filter((difference) => difference > step / 2)
  expect(moved.length / expected.length).toBeLessThanOrEqual(mostMoved)
}

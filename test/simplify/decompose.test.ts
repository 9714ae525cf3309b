import { join } from 'node:path'
import ort from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import { runChild } from '../../plugin/child/run.ts'
import { loadGraph, scopesOf } from '../../plugin/onnx/graph.ts'
import { readModel } from '../../plugin/onnx/model.ts'
import type { Options } from '../../plugin/options/types.ts'
import type { BackendName } from '../../runtime/manifest.ts'
import { loadCorpus } from '../corpus/index.ts'
import { caseErrors } from '../corpus/run.ts'
import { tempFolder } from '../support/helpers.ts'
import { build } from '../support/openvino-models.ts'
import { orSkip } from '../support/python.ts'
import { missingTensorRtRtx, rtxSettings } from '../support/tensorrt-library.ts'
import { merged, noise, size } from './operator-specs.ts'
import { operatorCases, recurrentCases } from './operators.ts'
import { simplified, writeCase } from './simplified.ts'

const folder = tempFolder()
// A child removes the folder of its result when it is abandoned.
const refused = tempFolder()
const missing = missingTensorRtRtx()
const corpus = await orSkip('decomposed operators of the ONNX library', loadCorpus)
const rtx = { backends: ['tensorrt-rtx'], targets: ['sm89'], types: false } as const satisfies Options

describe('decomposed operator', () => {
  test.each(operatorCases)(
    '$name: the standard operators have the same numbers on ONNX Runtime',
    async ({ name, model, feeds }) => {
      const file = writeCase(folder, name, model)
      const simpler = join(folder, 'simpler.onnx')
      const nodes = await simplified(file, simpler, 'tensorrt-rtx')
      expect(nodes.map(({ domain }) => domain).filter(Boolean)).toEqual([])
      const inputs = await inputsOf(file, feeds)
      const [expected, received] = [await run(file, inputs), await run(simpler, inputs)]
      expect(Object.keys(received)).toEqual(Object.keys(expected))
      for (const [output, values] of Object.entries(expected))
        expect(worst(values, received[output]!)).toBeLessThan(2e-6)
    },
  )

  // One build for all of a kind: a builder takes seconds to start.
  test.skipIf(missing).each(['17', '24'])('all of opset %s build with TensorRT-RTX', async (opset) => {
    const cases = operatorCases.filter(({ model }) => (model.opset ?? 17) === Number(opset))
    const file = writeCase(folder, `opset ${opset}`, merged(cases))
    const { compiled } = await build(folder, file, rtx)
    expect(compiled.variants[0]?.artifact.size).toBeGreaterThan(1000)
  })

  test.skipIf(missing).each(operatorCases.filter(({ refusal }) => refusal !== undefined))(
    'TensorRT-RTX refuses $name as it is',
    async ({ name, model, refusal }) => {
      await expect(compileAsItIs(writeCase(folder, name, model))).rejects.toThrow(refusal)
    },
  )

  test.skipIf(missing)('GRU, RNN and LSTM with sequence lengths build in fp16', async () => {
    const file = writeCase(folder, 'recurrent', merged(recurrentCases))
    const { compiled } = await build(folder, file, { ...rtx, engine: 'fp16', verify: false })
    expect(compiled.variants[0]?.artifact.size).toBeGreaterThan(1000)
  })
})

function compileAsItIs(model: string): Promise<void> {
  const job = { name: 'refused', model, output: join(refused, 'engine'), settings: { ...rtxSettings() } }
  return runChild(new URL('../../dist/plugin/backend/tensorrt/compile.js', import.meta.url), job)
}

// Patterns that express operators of ONNX itself, and how many of its cases they take.
const families: readonly [BackendName, RegExp, number][] = [
  ['tensorrt-rtx', /^test_attention_(?!.*(?:bf16|fp16|float16|expanded))/, 50],
  ['openvino', /^test_rotary_embedding(?!.*expanded)/, 8],
  ['tensorrt-rtx', /^test_tensorscatter(?!.*expanded)/, 3],
  ['tensorrt-rtx', /^test_dynamicquantizelinear(?!.*expanded)/, 3],
]

describe.skipIf(!corpus)('operator test cases of the ONNX library', () => {
  test.each(families)('for %s, decomposed cases of %s give the expected numbers', async (backend, names, least) => {
    const wrong: Record<string, number> = {}
    let compared = 0
    for (const record of corpus!.records.filter(({ sets, name }) => sets && names.test(name))) {
      const file = corpus!.file(record)
      const before = operatorsOf(await loadGraph(file))
      const simpler = join(folder, 'case.onnx')
      if ((await simplified(file, simpler, backend), operatorsOf(await loadGraph(simpler)).join()) === before.join())
        continue
      const errors = await caseErrors(corpus!, record, simpler)
      if (!errors) continue
      compared++
      if (Math.max(...errors) > 1) wrong[record.name] = Math.max(...errors)
    }
    expect(wrong).toEqual({})
    expect(compared).toBeGreaterThanOrEqual(least)
  })
})

function operatorsOf(model: Parameters<typeof scopesOf>[0]): string[] {
  return scopesOf(model).flatMap(({ graph }) => graph.node.map(({ opType }) => opType))
}

async function inputsOf(
  file: string,
  feeds: Readonly<Record<string, readonly number[]>> = {},
): Promise<Record<string, ort.Tensor>> {
  const { bindings } = await readModel(file)
  return Object.fromEntries(
    bindings.inputs.map(({ name, dtype, dims }) => {
      const numbers = feeds[name] ?? noise(size(dims as number[]))
      if (dtype === 'int64') return [name, new ort.Tensor('int64', numbers.map(BigInt), dims as number[])]
      return [name, new ort.Tensor(dtype as 'float32', [...numbers], dims as number[])]
    }),
  )
}

async function run(file: string, feeds: Record<string, ort.Tensor>): Promise<Record<string, Float32Array>> {
  const session = await ort.InferenceSession.create(file, { logSeverityLevel: 4 })
  const results = await session.run(feeds)
  await session.release()
  return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, data as Float32Array]))
}

/** The largest difference, as a share of the largest magnitude. */
function worst(expected: Float32Array, received: Float32Array): number {
  if (expected.length !== received.length) return Infinity
  const magnitude = Math.max(...expected.map(Math.abs))
  return Math.max(...expected.map((value, at) => Math.abs(value - received[at]!))) / magnitude
}

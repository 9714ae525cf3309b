import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import ort from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import { type EditableModel, loadGraph } from '../../plugin/onnx/graph.ts'
import { upgradeOpset } from '../../plugin/onnx/upgrade.ts'
import { writeGraph } from '../../plugin/onnx/write.ts'
import { emulateHalf } from '../../plugin/precision/half/emulate.ts'
import { lowerGraph } from '../../plugin/precision/half/lower-graph.ts'
import type { HalfDType } from '../../plugin/precision/half/rounding.ts'
import { dtypeOfCode, dtypes } from '../../runtime/dtype.ts'
import { checkModels, loadCorpus, type CorpusRecord, type CorpusValue } from '../corpus/index.ts'
import { tempFolder } from '../support/helpers.ts'
import { orSkip } from '../support/python.ts'

const folder = tempFolder()
const corpus = await orSkip("precision of the ONNX library's own test models", loadCorpus)

// Largest difference, as a share of the largest expected magnitude. Eight and eleven bits, and some steps of rounding.
const tolerance = { float16: 0.01, bfloat16: 0.06 } as const

// Cases whose inputs or results 16 bits cannot hold.
const beyond: Readonly<Record<string, string>> = {
  softmax_large_number: 'the softmax of 10000, 10001, 10002 and 10003, in a step of 8 and of 64',
  test_tan: 'the tangent near its pole, in bfloat16',
}

const outcomes = new Map<CorpusRecord, string | undefined>()

describe.skipIf(!corpus).each(['float16', 'bfloat16'] as const)('test models of the ONNX library in %s', (dtype) => {
  const cases = (corpus?.records ?? []).filter(
    ({ sets, inputs, outputs }) =>
      sets && [...inputs, ...outputs].some((binding) => binding.kind === 'tensor_type' && binding.code === 1),
  )
  const out = join(folder, dtype)

  test('lowered models are valid, and give the expected numbers where ONNX Runtime runs the original', async () => {
    mkdirSync(out)
    const findings: Record<string, string> = {}
    let [lowered, ran] = [0, 0]
    for (const record of cases) {
      const graph = await loadGraph(corpus!.file(record))
      if (dtype === 'bfloat16' && !canUpgrade(graph)) continue
      const report = await lowerGraph(graph, { dtype, maxValue: 4096, maxDepth: Infinity, pinned: new Set() })
      if (report.lowered === 0) continue
      lowered++
      const file = join(out, `${record.name}.onnx`)
      await writeGraph(graph, file)
      if (!outcomes.has(record)) outcomes.set(record, await outcome(corpus!.file(record), record, dtype))
      if (outcomes.get(record) !== undefined) continue
      ran++
      const emulated = join(folder, 'emulated.onnx')
      emulateHalf(graph)
      await writeGraph(graph, emulated)
      // ONNX Runtime has no bf16 kernels for the CPU. With its fp16 kernels it rounds less often than a device does.
      const trouble =
        (dtype === 'float16' ? await outcome(file, record, dtype) : undefined) ??
        (await outcome(emulated, record, dtype))
      if (trouble !== undefined) findings[record.name] = trouble
    }
    const unexpected = Object.entries(findings).filter(
      ([name]) => !Object.keys(beyond).some((part) => name.includes(part)),
    )
    expect(Object.fromEntries(unexpected)).toEqual({})
    expect(Object.keys(findings).length).toBeLessThan(8)
    expect(lowered).toBeGreaterThan(700)
    expect(ran).toBeGreaterThan(680)
    expect(await checkModels(out)).toEqual({})
  }, 120_000)
})

function canUpgrade(graph: EditableModel): boolean {
  try {
    upgradeOpset(graph, 22)
    return true
  } catch {
    return false
  }
}

/** Why a model does not give what its record expects; undefined when it does. */
async function outcome(file: string, record: CorpusRecord, dtype: HalfDType): Promise<string | undefined> {
  let session: ort.InferenceSession
  try {
    session = await ort.InferenceSession.create(file, { logSeverityLevel: 4, graphOptimizationLevel: 'disabled' })
  } catch (error) {
    return `load: ${(error as Error).message.slice(0, 200)}`
  }
  try {
    for (const { inputs, outputs } of record.sets ?? []) {
      const feeds = Object.fromEntries(
        inputs.flatMap((value, index) => {
          const tensor = tensorOf(value)
          return tensor ? [[record.inputs[index]!.name, tensor]] : []
        }),
      )
      const results = await session.run(feeds)
      for (const [index, value] of outputs.entries()) {
        const expected = tensorOf(value)
        const received = results[record.outputs[index]!.name]
        if (!expected || !received || expected.type !== 'float32') continue
        const trouble = difference(expected.data as Float32Array, received.data as Float32Array, tolerance[dtype])
        if (trouble) return `${record.outputs[index]!.name}: ${trouble}`
      }
    }
  } catch (error) {
    return `run: ${(error as Error).message.slice(0, 200)}`
  } finally {
    await session.release()
  }
  return undefined
}

function difference(expected: Float32Array, received: Float32Array, share: number): string | undefined {
  if (expected.length !== received.length) return `length ${received.length}`
  const largest = expected.reduce((most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most), 1)
  const at = expected.findIndex((value, index) => {
    const other = received[index]!
    if (!Number.isFinite(value)) return !Object.is(value, other)
    return !(Math.abs(value - other) <= share * largest)
  })
  return at < 0 ? undefined : `expected ${expected[at]}, received ${received[at]}`
}

function tensorOf(value: CorpusValue): ort.Tensor | undefined {
  if (value === null || !('code' in value) || !('offset' in value)) return undefined
  const dtype = dtypeOfCode(value.code)!
  const bytes = Uint8Array.from(corpus!.bytes(value))
  const arrays = {
    Float32Array,
    Float64Array,
    Int8Array,
    Uint8Array,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
    BigInt64Array,
    BigUint64Array,
  }
  const name = dtypes[dtype].array
  if (name === null || name === 'Array') return undefined
  return new ort.Tensor(dtype as 'float32', new arrays[name](bytes.buffer) as Float32Array, value.dims)
}

import ort from 'onnxruntime-node'
import { viewElements } from '../../plugin/onnx/content.ts'
import { dtypeOfCode } from '../../runtime/dtype.ts'
import type { Corpus, CorpusRecord, CorpusValue } from './index.ts'

/**
 * A value of a test case as ONNX Runtime takes it; undefined for a sequence, an absent optional, or a dtype without an
 * array.
 */
export function caseTensor(corpus: Corpus, value: CorpusValue): ort.Tensor | undefined {
  if (value === null || Array.isArray(value) || !('code' in value)) return undefined
  const dtype = dtypeOfCode(value.code)
  if ('strings' in value) return new ort.Tensor('string', [...value.strings], value.dims)
  const data = dtype && viewElements(dtype, new Uint8Array(corpus.bytes(value)))
  return data && new ort.Tensor(dtype as 'float32', data as Float32Array, value.dims)
}

/**
 * Runs one set of inputs of a test case on a model and gives the largest error of each output, as a share of what the
 * case tolerates: above 1 it is wrong. NaN and infinities must be the same. Undefined when a value cannot be fed or
 * compared as an array of numbers.
 */
export async function caseErrors(
  corpus: Corpus,
  record: CorpusRecord,
  file: string,
  index = 0,
): Promise<readonly number[] | undefined> {
  const set = record.sets?.[index]
  const inputs = set?.inputs.map((value) => caseTensor(corpus, value))
  const outputs = set?.outputs.map((value) => caseTensor(corpus, value))
  if (!inputs?.every((tensor) => tensor !== undefined) || !outputs?.every((tensor) => tensor !== undefined))
    return undefined
  const session = await ort.InferenceSession.create(file, { logSeverityLevel: 4 })
  const results = await session.run(
    Object.fromEntries(record.inputs.map(({ name }, position) => [name, inputs[position]!])),
  )
  await session.release()
  return record.outputs.map(({ name }, position) => worst(results[name]!, outputs[position]!, record))
}

function worst(received: ort.Tensor, expected: ort.Tensor, { rtol = 0, atol = 0 }: CorpusRecord): number {
  if (received.dims.join() !== expected.dims.join()) return Infinity
  if (expected.type === 'string') return String(received.data) === String(expected.data) ? 0 : Infinity
  const values = Array.from(received.data as Float32Array, Number)
  return Array.from(expected.data as Float32Array, Number).reduce((largest, value, at) => {
    const other = values[at] ?? Number.NaN
    if (Object.is(value, other) || value === other) return largest
    const error = Math.abs(value - other) / (atol + rtol * Math.abs(value))
    return Number.isNaN(error) ? Infinity : Math.max(largest, error)
  }, 0)
}

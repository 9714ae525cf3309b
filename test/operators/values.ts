import { numbersOf } from '../../dist/plugin/measure/numbers.js'
import { viewElements } from '../../dist/plugin/onnx/content.js'
import { dtypeOfCode } from '../../dist/runtime/dtype.js'
import type { CheckedTensor } from '../../dist/runtime/session.js'
import type { Corpus, CorpusRecord, CorpusValue } from '../corpus/index.ts'

/** The inputs of a case by name, as infer() takes them. */
export function inputsOf(
  corpus: Corpus,
  record: CorpusRecord,
  values: readonly CorpusValue[],
): Readonly<Record<string, CheckedTensor>> {
  return Object.fromEntries(record.inputs.map(({ name }, index) => [name, tensorOf(corpus, values[index]!)]))
}

function tensorOf(corpus: Corpus, value: CorpusValue): CheckedTensor {
  if (value === null || !('code' in value)) throw new TypeError('a sequence or an optional is no tensor')
  const dtype = dtypeOfCode(value.code)
  if ('strings' in value) return { dtype: 'string', dims: value.dims, data: value.strings }
  const data = dtype && viewElements(dtype, Uint8Array.from(corpus.bytes(value)))
  if (!data) throw new TypeError(`no array holds ${dtype}`)
  return { dtype: dtype as CheckedTensor['dtype'], dims: value.dims, data }
}

/** How an output differs from what ONNX expects, by more than the case tolerates; undefined when it does not. */
export function differenceOf(
  corpus: Corpus,
  value: CorpusValue,
  received: CheckedTensor,
  { rtol = 0, atol = 0 }: CorpusRecord,
): string | undefined {
  const expected = tensorOf(corpus, value)
  if (received.dims.join() !== expected.dims.join())
    return `has dims [${received.dims.join()}] instead of [${expected.dims.join()}]`
  if (!ArrayBuffer.isView(expected.data))
    return String(received.data) === String(expected.data) ? undefined : 'has other strings'
  const [wanted, given] = [numbersOf(expected)!, numbersOf(received)!]
  const magnitudes = Array.from(wanted, (value) => (Number.isFinite(value) ? Math.abs(value) : 0))
  const floor = Math.max(atol, noise * magnitudes.reduce((most, value) => Math.max(most, value), 0))
  const share = Math.max(rtol, steps.get(expected.dtype) ?? 0)
  const at = magnitudes.findIndex((magnitude, index) => {
    const [one, other] = [wanted[index], given[index]]
    if (one === other || Object.is(one, other)) return false
    return !(Math.abs(one! - other!) <= Math.max(floor, share * magnitude))
  })
  return at < 0 ? undefined : `has ${given[at]} instead of ${wanted[at]} at ${at} of ${wanted.length}`
}

/** Share of the largest element that others differ by in fp32 when sums are ordered otherwise. */
const noise = 1e-6

/** Two steps of rounding. */
const steps: ReadonlyMap<string, number> = new Map([
  ['float16', 2 ** -9],
  ['bfloat16', 2 ** -6],
])

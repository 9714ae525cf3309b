import { OnnxEngineError } from '../../../runtime/errors.ts'
import { numbersOf } from '../../measure/numbers.ts'
import { tensorElements } from '../../onnx/content.ts'
import { loadGraph, scopesOf } from '../../onnx/graph.ts'
import { byteLength, tensorType } from '../../onnx/tensor.ts'
import { formatBytes, quoteText, shorten } from '../../text.ts'
import type { TensorStatistics } from '../contract.ts'

const bins = 32
const mostBytes = 512e6
const nothing = { count: 0, min: null, max: null, mean: null, zeros: 0, notFinite: 0, histogram: [] } as const

/**
 * Figures of a weight, external data included. `name` may be clipped as in a GraphView.
 *
 * @throws OnnxEngineError MODEL_NOT_FOUND, MODEL_INVALID, EXTERNAL_DATA; QUERY_INVALID for a name that is not there
 */
export async function tensorStatistics(file: string, name: string): Promise<TensorStatistics> {
  const model = await loadGraph(file)
  const tensors = scopesOf(model).flatMap(({ graph }) => graph.initializer)
  const tensor = tensors.find((candidate) => shorten(candidate.name, 300) === name)
  if (!tensor) throw new OnnxEngineError('QUERY_INVALID', file, { expected: 'a weight', received: quoteText(name) })
  const type = tensorType(tensor)
  const bytes = type && byteLength(type)
  if (!type || bytes === undefined) return { ...nothing, refused: 'Its type holds no numbers' }
  if (bytes > mostBytes) return { ...nothing, refused: `It has ${formatBytes(bytes)}: more than is read for a page` }
  const data = await tensorElements(model, tensor)
  const numbers = data && numbersOf({ dtype: type.dtype as never, dims: type.dims, data: data as never })
  return numbers ? statisticsOf(numbers) : { ...nothing, refused: 'Its type holds no numbers' }
}

function statisticsOf(numbers: ArrayLike<number>): TensorStatistics {
  let [min, max, sum, zeros, notFinite] = [Infinity, -Infinity, 0, 0, 0]
  for (let index = 0; index < numbers.length; index++) {
    const value = numbers[index] ?? 0
    if (!Number.isFinite(value)) {
      notFinite++
      continue
    }
    if (value === 0) zeros++
    if (value < min) min = value
    if (value > max) max = value
    sum += value
  }
  const count = numbers.length
  const finite = count - notFinite
  if (finite === 0) return { ...nothing, count, notFinite, histogram: Array.from({ length: bins }, () => 0) }
  const histogram = Array.from({ length: bins }, () => 0)
  for (let index = 0; index < count; index++) {
    const value = numbers[index] ?? 0
    if (!Number.isFinite(value)) continue
    const bin = max > min ? Math.min(bins - 1, Math.floor(((value - min) / (max - min)) * bins)) : 0
    histogram[bin] = (histogram[bin] ?? 0) + 1
  }
  return { count, min, max, mean: sum / finite, zeros, notFinite, histogram }
}

import { OnnxEngineError, textOf } from '../../../runtime/errors.ts'
import type { Binding, Bindings } from '../../../runtime/manifest.ts'
import { quote } from '../../../runtime/text.ts'
import { decodeImage, imageTensor } from '../../samples/image.ts'
import { parseNpy } from '../../samples/npy.ts'
import type { Preprocess } from '../../samples/source.ts'
import { draws, randomDims, randomSample } from '../../verify/random-inputs.ts'
import type { TryInput, TryRequest } from '../contract.ts'

/** A value of an input or an output. */
export type TryTensor = { readonly dtype: string; readonly data: unknown; readonly dims: readonly number[] }

/**
 * The inputs of a run by name: files of the page, and random values for all others.
 *
 * @throws OnnxEngineError INPUT_INVALID
 */
export async function inputTensors(
  { inputs }: Bindings,
  { inputs: given, dims }: TryRequest,
): Promise<ReadonlyMap<string, TryTensor>> {
  const shapes = randomDims(inputs, dims, { first: 1, others: 8 })
  const tensors = inputs.map(async (binding): Promise<readonly [string, TryTensor]> => {
    const input = given.find(({ name }) => name === binding.name) ?? { name: binding.name, kind: 'random', seed: 1 }
    if (input.kind !== 'random') return [binding.name, await readInput(binding, input)]
    if (shapes === undefined) throw unreadable(binding.name, 'a file: nothing shows its dims', 'random values')
    const [draw] = draws
    const limits = { values: {}, ranges: new Map() }
    const sample = randomSample([binding], shapes, limits, { draw, seed: input.seed })
    return [binding.name, sample.get(binding.name) as TryTensor]
  })
  return new Map(await Promise.all(tensors))
}

async function readInput(
  binding: Binding,
  { kind, base64 }: TryInput & { readonly base64: string },
): Promise<TryTensor> {
  const bytes = new Uint8Array(Buffer.from(base64, 'base64'))
  try {
    if (kind === 'npy') return parseNpy(bytes)
    const preprocess = preprocessOf(binding)
    const tensor = imageTensor(await decodeImage(bytes), preprocess, binding.dtype)
    return { dtype: binding.dtype, ...tensor }
  } catch (cause) {
    throw unreadable(binding.name, kind === 'npy' ? 'an .npy file' : 'a PNG or JPEG image', textOf(cause), cause)
  }
}

// As most vision models have it: pixels from 0 to 1, in the size and order of the input.
function preprocessOf({ dims, dtype }: Binding): Preprocess {
  const isLast = dims?.at(-1) === 3 || dims?.at(-1) === 1
  const [height, width] = isLast ? (dims?.slice(1, 3) ?? []) : (dims?.slice(2, 4) ?? [])
  const channels = (isLast ? dims?.at(-1) : dims?.[1]) === 1 ? 'gray' : 'rgb'
  const size = typeof height === 'number' && typeof width === 'number' ? [height, width] : undefined
  const scale = dtype === 'uint8' ? 1 : 1 / 255
  return { layout: isLast ? 'nhwc' : 'nchw', scale, channels, mean: [0], std: [1], size } as unknown as Preprocess
}

function unreadable(name: string, expected: string, received: string, cause?: unknown): OnnxEngineError {
  return new OnnxEngineError('INPUT_INVALID', `input ${quote(name)}`, { expected, received, cause })
}

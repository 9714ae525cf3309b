import { elementCount } from '../../../runtime/dtype.ts'
import { OnnxEngineError, textOf } from '../../../runtime/errors.ts'
import { loadModel } from '../../../runtime/load.ts'
import type { Binding, Bindings } from '../../../runtime/manifest.ts'
import { bareName, quote } from '../../../runtime/text.ts'
import { compile, writeModel } from '../../api.ts'
import { temporaryFolder } from '../../files/temporary-folder.ts'
import { numbersOf } from '../../measure/numbers.ts'
import type { Options } from '../../options/types.ts'
import { decodeImage, imageTensor } from '../../samples/image.ts'
import { parseNpy } from '../../samples/npy.ts'
import type { Preprocess } from '../../samples/source.ts'
import { draws, randomDims, randomSample } from '../../verify/random-inputs.ts'
import type { TryInput, TryOutput, TryRequest, TryResult } from '../contract.ts'

/** A model file with the options of the engine that runs it. */
export type TryTarget = { readonly file: string; readonly options: Options; readonly query: string }

type Tensor = { readonly dtype: string; readonly data: unknown; readonly dims: readonly number[] }

/** Values of an output that are sent: 4 MB of float32. */
const mostValues = 1_000_000

/**
 * Runs an engine, which the cache gives or which is compiled first, on the inputs of a page.
 *
 * @throws OnnxEngineError INPUT_INVALID, and any code of a build and of an inference
 */
export async function tryModel({ file, options, query }: TryTarget, request: TryRequest): Promise<TryResult> {
  const compiled = await compile(file, { ...options, verify: false })
  await using folder = await temporaryFolder()
  const model = await loadModel(await writeModel(compiled, folder.path))
  try {
    await model.load()
    const inputs = await inputTensors(compiled.bindings, request)
    const start = performance.now()
    const outputs = (await model.infer(Object.fromEntries(inputs) as never)) as Readonly<Record<string, Tensor>>
    const milliseconds = performance.now() - start
    return {
      outputs: Object.entries(outputs).map(([name, tensor]) => describeOutput(name, tensor)),
      milliseconds,
      code: codeOf(compiled.name, query, compiled.bindings, inputs),
    }
  } finally {
    await model.dispose()
  }
}

async function inputTensors(
  { inputs }: Bindings,
  { inputs: given, dims }: TryRequest,
): Promise<ReadonlyMap<string, Tensor>> {
  const shapes = randomDims(inputs, dims, { first: 1, others: 8 })
  const tensors = inputs.map(async (binding): Promise<readonly [string, Tensor]> => {
    const input = given.find(({ name }) => name === binding.name) ?? { name: binding.name, kind: 'random', seed: 1 }
    if (input.kind !== 'random') return [binding.name, await readInput(binding, input)]
    if (shapes === undefined) throw unreadable(binding.name, 'a file: nothing shows its dims', 'random values')
    const [draw] = draws
    const limits = { values: {}, ranges: new Map() }
    const sample = randomSample([binding], shapes, limits, { draw, seed: input.seed })
    return [binding.name, sample.get(binding.name) as Tensor]
  })
  return new Map(await Promise.all(tensors))
}

async function readInput(binding: Binding, { kind, base64 }: TryInput & { readonly base64: string }): Promise<Tensor> {
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

function describeOutput(name: string, { dtype, dims, data }: Tensor): TryOutput {
  const numbers = numbersOf({ dtype, dims, data } as never)
  const values = numbers ? Array.from(numbers) : (data as readonly string[])
  return { name, dtype, dims, data: values.slice(0, mostValues), isClipped: values.length > mostValues }
}

function codeOf(name: string, query: string, { inputs }: Bindings, tensors: ReadonlyMap<string, Tensor>): string {
  const entries = inputs.map((binding) => {
    const { data, dims } = tensors.get(binding.name) ?? { data: [], dims: [] }
    const array = (data as object).constructor.name
    const isStatic = binding.dims?.every((dim) => typeof dim === 'number')
    const values = `new ${array}(${elementCount(dims)})`
    return `${bareName(binding.name)}: ${isStatic ? values : `{ data: ${values}, dims: [${dims.join(', ')}] }`}`
  })
  return [
    `import model from ${quote(`./${name}.onnx${query}`)}`,
    '',
    `const outputs = await model.infer({ ${entries.join(', ')} })`,
  ].join('\n')
}

function unreadable(name: string, expected: string, received: string, cause?: unknown): OnnxEngineError {
  return new OnnxEngineError('INPUT_INVALID', `input ${quote(name)}`, { expected, received, cause })
}

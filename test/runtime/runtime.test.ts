import { createModel, tensor, type Model } from 'unplugin-onnx/runtime'
import { beforeAll, describe, expect, test } from 'vitest'
import { testBackend } from '../support/contract.ts'
import { missingNative, ortManifest } from '../support/engines.ts'
import { tempFolder } from '../support/helpers.ts'
import type { ModelSpec } from '../support/models.ts'

const dtypes = [
  'float32',
  'float64',
  'float16',
  'uint8',
  'int8',
  'uint16',
  'int16',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'bool',
  'string',
] as const

testBackend({
  name: 'ONNX Runtime in a worker',
  makeManifest: ortManifest,
  options: { session: 'worker' },
  dtypes,
  // onnxruntime-node has no tensors of it.
  refused: { bfloat16: 'MODEL_UNSUPPORTED' },
})

testBackend({
  name: 'ONNX Runtime in native threads',
  makeManifest: ortManifest,
  options: { session: 'native' },
  dtypes: [...dtypes, 'bfloat16'],
  missing: missingNative,
})

const folder = tempFolder()

describe('infer()', () => {
  const pose: ModelSpec = {
    inputs: {
      image: 'float32[batch,3,2,2]',
      mask: 'bool[batch,2,2]',
      size: 'int64[2]',
      tags: 'string[?]',
      half: 'float16[1]',
      scale: 'float32[]',
    },
    outputs: { y: 'float32[batch,3,2,2]', halved: 'float16[1]' },
    nodes: [
      { op: 'Identity', inputs: ['image'], outputs: ['y'] },
      { op: 'Identity', inputs: ['half'], outputs: ['halved'] },
    ],
  }
  let model: Model

  beforeAll(async () => {
    model = createModel(await ortManifest(folder, 'pose', pose))
  })

  test('correct inputs return outputs with their dims', async () => {
    expect((await model.infer(good()))['y']?.dims).toEqual([1, 3, 2, 2])
  })

  test('of a session in a worker refuses a string with NUL', async () => {
    await using worker = createModel(await ortManifest(folder, 'nul', pose), { session: 'worker' })
    await expect(worker.infer({ ...good(), tags: { data: ['a\0b'], dims: [1] } })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      message: expect.stringContaining('input "tags": expected strings without NUL characters'),
    })
  })

  test('the Float16Array of a newer Node.js is accepted', async () => {
    const Half = (Reflect.get(globalThis, 'Float16Array') ?? Uint16Array) as typeof Uint16Array
    const half = Half.of(1)
    const { halved } = await model.infer({ ...good(), half })
    expect(halved?.data).toEqual(new Uint16Array(half.buffer))
  })

  const holes: number[] = [1, 3]
  holes[3] = 2
  const detached = new Float32Array(12)
  structuredClone(detached, { transfer: [detached.buffer] })
  const image = (change: object) => ({ image: { ...good().image, ...change } })

  test.each<[string, unknown, string]>([
    [
      'an unknown name',
      { imgae: good().image },
      'input "imgae": expected "image": float32[batch,3,2,2], "mask": bool[batch,2,2], "size": ' +
        'int64[2], "tags": string[?], "half": float16[1], "scale": float32[], received an unknown ' +
        'name. Did you mean "image"?',
    ],
    ['a name of the prototype', JSON.parse('{"__proto__": 1}'), 'input "__proto__": expected'],
    ['a missing input', { image: undefined }, 'input "image": expected float32[batch,3,2,2], received nothing'],
    ['null', { image: null }, 'input "image": expected float32[batch,3,2,2], received nothing'],
    [
      'a plain array where a dim is open',
      { image: new Float32Array(12) },
      'input "image": expected { data, dims } for float32[batch,3,2,2], received a Float32Array. A ' +
        'plain array is accepted only when every dim is static',
    ],
    ['numbers', { image: 3 }, 'input "image": expected { data, dims } for float32[batch,3,2,2], received a number'],
    [
      'another object',
      { image: { pixels: 1 } },
      'input "image": expected { data, dims } for float32[batch,3,2,2], received an object with "pixels"',
    ],
    [
      'a tensor of another dtype',
      { mask: tensor('uint8', new Uint8Array(4), [1, 2, 2]) },
      'input "mask": expected dtype bool, received dtype "uint8"',
    ],
    [
      'an array of another dtype',
      image({ data: new Float64Array(12) }),
      'input "image": expected a Float32Array for float32[batch,3,2,2], received a Float64Array',
    ],
    [
      'an array of numbers',
      image({ data: [1, 2, 3] }),
      'input "image": expected a Float32Array for float32[batch,3,2,2], received an array of 3',
    ],
    [
      'a DataView',
      image({ data: new DataView(new ArrayBuffer(48)) }),
      'input "image": expected a Float32Array for float32[batch,3,2,2], received a DataView',
    ],
    [
      'an object that poses as an array',
      image({ data: { [Symbol.toStringTag]: 'Float32Array', length: 12 } }),
      'input "image": expected a Float32Array for float32[batch,3,2,2], received an object with "length"',
    ],
    [
      'numbers for int64',
      { size: Int32Array.of(2, 2) },
      'input "size": expected a BigInt64Array for int64[2], received an Int32Array',
    ],
    [
      'another rank',
      image({ dims: [3, 2, 2] }),
      'input "image": expected 4 dims for float32[batch,3,2,2], received 3: [3,2,2]',
    ],
    [
      'another static dim',
      image({ dims: [1, 1, 4, 3] }),
      'input "image": expected 3 at dim 1 of float32[batch,3,2,2], received 1',
    ],
    [
      'a named dim of two sizes',
      { mask: { data: new Uint8Array(8), dims: [2, 2, 2] } },
      'input "mask": expected 1 at dim 0, because "batch" is 1 in input "image", received 2',
    ],
    [
      'too few elements',
      image({ data: new Float32Array(11) }),
      'input "image": expected 12 elements for dims [1,3,2,2], received 11',
    ],
    ['too many elements', { scale: new Float32Array(2) }, 'input "scale": expected 1 elements for dims [], received 2'],
    [
      'a detached array',
      image({ data: detached }),
      'input "image": expected 12 elements for dims [1,3,2,2], received 0. The array is detached',
    ],
    [
      'a negative dim',
      image({ dims: [-1, 3, 2, 2] }),
      'input "image": expected dims as an array of whole numbers from 0, received [-1,3,2,2]',
    ],
    ['dims with a fraction', image({ dims: [1.5, 3, 2, 2] }), 'received [1.5,3,2,2]'],
    ['dims with a hole', image({ dims: holes }), 'received [1,3,nothing,2]'],
    [
      'dims as text',
      image({ dims: '1x3x2x2' }),
      'input "image": expected dims as an array of whole numbers from 0, received "1x3x2x2"',
    ],
    ['dims of bigints', image({ dims: [1n, 3n] }), 'received [a bigint,a bigint]'],
    [
      'dims beyond counting',
      image({ dims: [2 ** 52, 3, 2, 2] }),
      'expected dims whose product can be counted, received dims [4503599627370496,3,2,2]',
    ],
    [
      'no strings',
      { tags: { data: ['a', 1], dims: [2] } },
      'input "tags": expected an array of strings, received a number at index 1',
    ],
    [
      'a string for strings',
      { tags: { data: 'a', dims: [1] } },
      'input "tags": expected an array of strings, received "a"',
    ],
    [
      'float32 for float16',
      { half: new Float32Array(1) },
      'input "half": expected a Uint16Array for float16[1], received a Float32Array',
    ],
  ])('a call with %s is an error with the model, the input and both sides', async (_, change, message) => {
    const inputs: Record<string, never> = Object.defineProperties({}, Object.getOwnPropertyDescriptors({ ...good() }))
    Object.defineProperties(inputs, Object.getOwnPropertyDescriptors(change as object))
    const error: unknown = await model.infer(inputs).catch((error: unknown) => error)
    expect(error).toMatchObject({ name: 'OnnxEngineError', code: 'INPUT_INVALID' })
    expect((error as Error).message).toContain(`model "pose", `)
    expect((error as Error).message).toContain(message)
  })

  test.each<[unknown, string]>([
    [undefined, 'received nothing'],
    [null, 'received null'],
    ['image', 'received "image"'],
    [new Float32Array(12), 'received a Float32Array'],
    [[good().image], 'received an array of 1'],
    [new Map(Object.entries(good())), 'received a Map'],
  ])('%o instead of an object is an error', async (inputs, message) => {
    const running = model.infer(inputs as Record<string, never>)
    await expect(running).rejects.toMatchObject({ code: 'INPUT_INVALID', message: expect.stringContaining(message) })
  })

  test.each<[object, string]>([
    [{ singal: AbortSignal.abort() }, 'option of infer() "singal": expected a known option. Did you mean "signal"?'],
    [{ signal: true }, 'option of infer() "signal": expected an AbortSignal, received true'],
    [{ transfer: 1 }, 'option of infer() "transfer": expected true or false, received 1'],
  ])('invalid options are an error: %o', async (options, message) => {
    await expect(model.infer(good(), options)).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringContaining(message),
    })
  })
})

test('inputs may have any name', async () => {
  const names = ['__proto__', 'constructor', 'a "quoted"\nname', '']
  const [proto, constructor, quoted] = names as [string, string, string]
  await using model = createModel(
    await ortManifest(folder, 'names', {
      inputs: Object.fromEntries([
        [proto, 'float32[2]'],
        [constructor, 'float32[2]'],
        [quoted, 'float32[2]'],
      ]),
      outputs: { y: 'float32[2]' },
      nodes: [{ op: 'Sum', inputs: [proto, constructor, quoted], outputs: ['y'] }],
    }),
  )
  const one = Float32Array.of(1, 2)
  const { y } = await model.infer(
    Object.fromEntries([
      [proto, one],
      [constructor, one],
      [quoted, one],
    ]),
  )
  expect(y?.data).toEqual(Float32Array.of(3, 6))
  await expect(model.infer({ y: one })).rejects.toMatchObject({
    message: expect.stringContaining(String.raw`"a \"quoted\"\nname": float32[2]`),
  })
})

// onnxruntime-node sets outputs by their names, and __proto__ is not set but makes a prototype.
test.each(['native', 'worker'] as const)('outputs may have any name in a %s session', async (session) => {
  const names = ['__proto__', 'constructor', 'a "quoted"\nname'] as const
  const manifest = await ortManifest(folder, `outputs-${session}`, {
    inputs: { x: 'float32[2]' },
    outputs: Object.fromEntries(names.map((name) => [name, 'float32[2]'])),
    nodes: names.map((name) => ({ op: 'Neg', inputs: ['x'], outputs: [name] })),
  })
  await using model = createModel(manifest, { session: missingNative === undefined ? session : 'worker' })
  const outputs = await model.infer({ x: Float32Array.of(1, 2) })
  expect(Object.keys(outputs).sort()).toEqual([...names].sort())
  for (const name of names)
    expect(Object.getOwnPropertyDescriptor(outputs, name)?.value).toMatchObject({ data: Float32Array.of(-1, -2) })
})

function good() {
  return {
    image: { data: new Float32Array(12), dims: [1, 3, 2, 2] },
    mask: { data: new Uint8Array(4), dims: [1, 2, 2] },
    size: BigInt64Array.of(2n, 2n),
    tags: { data: ['a'], dims: [1] },
    half: new Uint16Array(1),
    scale: Float32Array.of(1),
  }
}

import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { describe, expect, test, vi } from 'vitest'
import { readModel } from '../../plugin/onnx/model.ts'
import { selectBindings } from '../../plugin/options/select-bindings.ts'
import { dtypes, isBindingDType, type StoredDType } from '../../runtime/dtype.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { tempFolder } from '../support/helpers.ts'
import {
  affineModel,
  type AttributeSpec,
  encode,
  type ModelSpec,
  type NodeSpec,
  onnxModel,
  sparseModel,
  type TensorSpec,
  wireField,
} from '../support/models.ts'

const folder = tempFolder()
let files = 0

function saved(bytes: Uint8Array | string, name = `model${files++}.onnx`): string {
  const file = join(folder, name)
  writeFileSync(file, bytes)
  return file
}

function catchError(action: () => unknown): unknown {
  try {
    return void action()
  } catch (error) {
    return error
  }
}

async function failure(file: string): Promise<OnnxEngineError> {
  const error = await readModel(file).then(
    (model) => catchError(() => selectBindings(model, { outputs: [], optionalInputs: [] }, 'model')),
    (reason: unknown) => reason,
  )
  if (error instanceof OnnxEngineError) return error
  throw new Error('expected an OnnxEngineError', { cause: error })
}

const identity = (spec: Partial<ModelSpec>): Uint8Array =>
  onnxModel({
    inputs: { x: 'float32[2]' },
    outputs: { y: 'float32[2]' },
    nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
    ...spec,
  })

// What `onnxModel` would not write: fields of GraphProto as they are.
const rawGraph = (graph: object): Uint8Array =>
  encode('ModelProto', { irVersion: 8, opsetImport: [{ domain: '', version: 17 }], graph })

const rawInput = (name: string, type: object): Uint8Array => rawGraph({ input: [{ name, type }] })

const weight = (location: string, more: object = {}): TensorSpec => ({
  dtype: 'float32',
  dims: [4],
  data: [],
  external: { location, ...more },
})

const tag = (id: number, wire = 2): number => id * 8 + wire

function nestedGraphs(depth: number): Uint8Array {
  let graph: Uint8Array = encode('GraphProto', { name: 'innermost' })
  for (let i = 0; i < depth; i++) graph = wireField(1, wireField(5, wireField(6, graph)))
  return Buffer.concat([encode('ModelProto', { irVersion: 8 }), wireField(7, graph)])
}

const float = { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 1 }] } } }

describe('declarations of a model', () => {
  test('bindings keep the order of the graph, and static, named and unknown dims, ranks and scalars', async () => {
    const names = ['image', 'a b', '__proto__', 'quote"\nline', 'scalar', '0']
    const specs = ['float32[batch,3,?,0]', 'int64', 'string[-1]', 'float16[1]', 'bool[]', 'uint8[2]']
    const inputs = Object.fromEntries(names.map((name, index) => [name === '0' ? 'zero' : name, specs[index] ?? '']))
    const { bindings } = await readModel(saved(identity({ inputs, outputs: { y: 'float32[n]' } })))
    expect(bindings.inputs).toEqual([
      { name: 'image', dtype: 'float32', dims: ['batch', 3, null, 0] },
      { name: 'a b', dtype: 'int64', dims: null },
      { name: '__proto__', dtype: 'string', dims: [null] },
      { name: 'quote"\nline', dtype: 'float16', dims: [1] },
      { name: 'scalar', dtype: 'bool', dims: [] },
      { name: 'zero', dtype: 'uint8', dims: [2] },
    ])
    expect(bindings.outputs).toEqual([{ name: 'y', dtype: 'float32', dims: ['n'] }])
  })

  test('initializers that are listed as inputs are not inputs, sparse ones neither', async () => {
    const names = ['x', 'dense', 'sparse']
    const tensor = { name: 'dense', dims: [2], dataType: 1, floatData: [1, 2] }
    const sparse = {
      values: { name: 'sparse', dims: [0], dataType: 1 },
      indices: { dims: [0], dataType: 7 },
      dims: [2],
    }
    const graph = {
      input: names.map((name) => ({ name, type: float })),
      initializer: [tensor],
      sparseInitializer: [sparse],
    }
    const { bindings, initializers } = await readModel(saved(rawGraph(graph)))
    expect(bindings.inputs.map(({ name }) => name)).toEqual(['x'])
    expect(initializers).toEqual([{ name: 'dense', dtype: 'float32', dims: [2] }])
  })

  test('opsets are read by domain, where ai.onnx is the main domain, with the IR version', async () => {
    const opsetImport = [
      { domain: 'ai.onnx', version: 13 },
      { domain: '', version: 13 },
      { domain: '__proto__', version: 2 },
    ]
    const { opsets, irVersion } = await readModel(saved(encode('ModelProto', { irVersion: 7, opsetImport, graph: {} })))
    expect(Object.entries(opsets)).toEqual([
      ['', 13],
      ['__proto__', 2],
    ])
    expect(irVersion).toBe(7)
  })

  test('weights are found in the file and next to it', async () => {
    writeFileSync(join(folder, 'beside.bin'), new Uint8Array(64))
    const initializers: Record<string, TensorSpec> = {
      inside: { dtype: 'float32', dims: [3], data: [1, 2, 3] },
      nibbles: { dtype: 'int4', dims: [3], data: new Uint8Array([0x21, 0x03]) },
      outside: { dtype: 'float32', dims: [2], data: [], external: { location: 'beside.bin', offset: 16, length: 8 } },
      rest: { dtype: 'int64', dims: [2], data: [], external: { location: './beside.bin' } },
    }
    const bytes = identity({ initializers })
    const file = saved(bytes)
    const model = await readModel(file)
    const [inside, nibbles, outside, rest] = model.initializers.map(({ range }) => range)
    const at = (range?: { offset: number; length: number }) => [
      ...bytes.subarray(range?.offset, (range?.offset ?? 0) + (range?.length ?? 0)),
    ]
    expect(at(inside)).toEqual([...new Uint8Array(Float32Array.of(1, 2, 3).buffer)])
    expect(at(nibbles)).toEqual([0x21, 0x03])
    expect(outside).toMatchObject({ offset: 16, length: 8 })
    expect(rest).toMatchObject({ offset: 0, length: 16, file: outside?.file })
    expect(model.external).toEqual([outside, rest])
  })

  test('external data of tensors in nodes, subgraphs and sparse initializers is found too', async () => {
    writeFileSync(join(folder, 'deep.bin'), new Uint8Array(64))
    const tensors = [0, 4, 8].map((offset): TensorSpec => ({ ...weight('deep.bin', { offset }), dims: [1] }))
    const [constant, ...bodies] = tensors as [TensorSpec, TensorSpec, TensorSpec]
    const [thenBranch, elseBranch] = bodies.map((z): AttributeSpec => ({
      graph: { outputs: { z: 'float32[1]' }, nodes: [], initializers: { z } },
    }))
    const nodes: NodeSpec[] = [
      { op: 'Constant', inputs: [], outputs: ['c'], attributes: { value: { tensor: constant } } },
      { op: 'If', inputs: ['x'], outputs: ['y'], attributes: { then_branch: thenBranch!, else_branch: elseBranch! } },
    ]
    const { external } = await readModel(saved(identity({ nodes })))
    expect(external.map(({ offset, length }) => [offset, length])).toEqual([
      [0, 4],
      [4, 4],
      [8, 4],
    ])
  })

  test.each([
    ['one initializer of 1 GB', 1, 2 ** 30],
    ['2000 initializers of 512 KiB', 2000, 2 ** 19],
  ])('%s: less than 5 MB are read', async (_, count, length) => {
    const file = join(folder, 'large.onnx')
    sparseModel(file, count, length)
    const read = await countReads(async () => {
      const model = await readModel(file)
      expect(model.initializers).toHaveLength(count)
      expect(model.initializers.at(-1)).toMatchObject({
        name: `w${count - 1}`,
        range: { file, offset: model.size - length, length },
      })
      expect(model.bindings.inputs).toEqual([{ name: 'x', dtype: 'float32', dims: ['n'] }])
    })
    expect(read).toBeGreaterThan(0)
    expect(read).toBeLessThan(5e6)
    truncateSync(file)
  })

  test('a model with 1 GB of external data: none of it is read', async () => {
    truncateSync(saved('', 'large.bin'), 2 ** 30)
    const initializers: Record<string, TensorSpec> = {
      w: { dtype: 'float32', dims: [2 ** 28], data: [], external: { location: 'large.bin' } },
    }
    const bytes = identity({ initializers })
    const file = saved(bytes)
    expect(
      await countReads(async () =>
        expect((await readModel(file)).external).toMatchObject([{ offset: 0, length: 2 ** 30 }]),
      ),
    ).toBeLessThanOrEqual(2 * bytes.length)
    truncateSync(join(folder, 'large.bin'))
  })
})

describe('declaration that cannot be represented', () => {
  const element = { tensorType: { elemType: 1 } }
  test.each([
    ['a sequence', { sequenceType: encode('TypeProto', element) }],
    ['a map', { mapType: new Uint8Array() }],
    ['an optional value', { optionalType: encode('TypeProto', element) }],
    ['a sparse tensor', { sparseTensorType: new Uint8Array() }],
    ['an opaque value', { opaqueType: new Uint8Array() }],
    ['none', {}],
    ['none', { tensorType: {} }],
    ['the unknown element type 99', { tensorType: { elemType: 99 } }],
  ])('an input that is %s is refused by name', async (received, type) => {
    const error = await failure(saved(rawInput('odd "name"\n', type)))
    expect(error).toMatchObject({ code: 'MODEL_UNSUPPORTED', received })
    expect(error.message).toContain('input "odd \\"name\\"\\n"')
  })

  test.each((Object.keys(dtypes) as StoredDType[]).filter((dtype) => !isBindingDType(dtype)))(
    'a binding of %s is refused by name',
    async (dtype) => {
      expect(await failure(saved(identity({ outputs: { y: `${dtype}[1]` } })))).toMatchObject({
        code: 'MODEL_UNSUPPORTED',
        received: dtype,
      })
    },
  )

  test('a dim of 2^62 is refused by name', async () => {
    const type = {
      tensorType: {
        elemType: 1,
        shape: { dim: [{ dimValue: 3 }, { dimValue: { low: 0, high: 2 ** 30, unsigned: false } }] },
      },
    }
    const error = await failure(saved(rawInput('x', type)))
    expect(error).toMatchObject({ code: 'MODEL_UNSUPPORTED', received: '4611686018427387904' })
    expect(error.message).toContain('input "x", dim 1')
  })

  test.each([
    ['an unknown element type', { dataType: 77, dims: [1] }],
    ['a negative dim', { dataType: 1, dims: [-1] }],
  ])('an initializer with %s is refused by name', async (_, tensor) => {
    const error = await failure(saved(rawGraph({ initializer: [{ name: 'w', ...tensor }] })))
    expect(error.code).toBe('MODEL_UNSUPPORTED')
    expect(error.message).toContain('initializer "w"')
  })
})

describe('damaged model', () => {
  test('each prefix of a model is the same model or a named error', async () => {
    const bytes = affineModel()
    const { bindings, initializers, opsets } = await readModel(saved(bytes))
    for (let length = 0; length < bytes.length; length++) {
      const file = saved(bytes.subarray(0, length), 'prefix.onnx')
      const outcome = await readModel(file).then(
        (model) => ({ bindings: model.bindings, initializers: model.initializers.length, opsets: model.opsets }),
        (error: unknown) => error,
      )
      expect(outcome).toSatisfy(
        (value) =>
          value instanceof OnnxEngineError ||
          isDeepStrictEqual(value, { bindings, initializers: initializers.length, opsets }),
      )
    }
  })

  test('a model with any damaged byte is read, or refused by name', async () => {
    const bytes = affineModel()
    for (let at = 0; at < bytes.length; at++) {
      const damaged = Uint8Array.from(bytes)
      for (const value of [0x00, 0x7f, 0xff, (bytes[at] ?? 0) ^ 1]) {
        damaged[at] = value
        const outcome = await readModel(saved(damaged, 'damaged.onnx')).catch((error: unknown) => error)
        expect(outcome).toSatisfy(
          (result) => result instanceof OnnxEngineError || Object.hasOwn(result as object, 'bindings'),
        )
      }
    }
  })

  test.each<[string, Uint8Array | string, RegExp]>([
    ['a text file', 'hello\nworld\n', /received a text file/],
    ['a Git LFS pointer', 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n', /git lfs pull/],
    ['an empty file', '', /received an empty file/],
    ['a PNG', Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13]), /of another format/],
    [
      'a length past the end of the file',
      Uint8Array.from([tag(2), 100, 1, 2]),
      /a field of 100 bytes runs past the end of its file \(byte 0\)/,
    ],
    [
      'the first half of a model',
      affineModel().subarray(0, 100),
      new RegExp(
        String.raw`^.+\.onnx: the file ends early: expected at least \d{3} bytes, as its fields say, ` +
          String.raw`received 100 bytes\. Fetch or export it again`,
      ),
    ],
    [
      'a length past the end of its message',
      Uint8Array.from([tag(7), 3, tag(1), 100, 0, 0, 0, 0]),
      /runs past the end of its message \(byte 2\)/,
    ],
    ['a length of 2^63', Uint8Array.from([tag(7), 255, 255, 255, 255, 255, 255, 255, 255, 127]), /runs past the end/],
    [
      'a varint of eleven bytes',
      Uint8Array.from([tag(1, 0), ...Array.from({ length: 11 }, () => 128), 0]),
      /more than 64 bits/,
    ],
    ['a varint that is cut off', Uint8Array.from([tag(1, 0), 128]), /cut off/],
    ['a field with the number 0', Uint8Array.from([0, 0]), /the number 0/],
    ['a field that only our skeletons have', Uint8Array.from([0xc2, 0xa3, 0x09, 0]), /the number 19000/],
    ['a group', Uint8Array.from([tag(1, 0), 8, tag(7, 3)]), /wire type 3/],
    ['subgraphs nested 50 deep', nestedGraphs(50), /nested more than 100 deep/],
    [
      'two graphs',
      Buffer.concat([affineModel(), encode('ModelProto', { graph: { name: 'other' } })]),
      /the field graph occurs twice/,
    ],
    ['no graph', encode('ModelProto', { irVersion: 8 }), /without a graph/],
    ['no IR version', encode('ModelProto', { graph: {} }), /without an IR version/],
    ['no opset', encode('ModelProto', { irVersion: 8, graph: {} }), /imports no opset/],
    [
      'two versions of one opset',
      encode('ModelProto', {
        irVersion: 8,
        graph: {},
        opsetImport: [{ version: 1 }, { domain: 'ai.onnx', version: 2 }],
      }),
      /received 1 and 2/,
    ],
    ['an input without a name', rawInput('', float), /input 0: expected a name/],
    [
      'two inputs of one name',
      rawGraph({
        input: [
          { name: 'x', type: float },
          { name: 'x', type: float },
        ],
      }),
      /input "x": expected one input of this name, received two/,
    ],
    [
      'two outputs of one name',
      rawGraph({
        output: [
          { name: 'y', type: float },
          { name: 'y', type: float },
        ],
      }),
      /output "y": expected one output/,
    ],
    [
      'a name that is not UTF-8',
      Buffer.from(Buffer.from(rawInput('n\x01m', float)).toString('latin1').replace('n\x01m', 'n\xffm'), 'latin1'),
      /expected a name in UTF-8/,
    ],
    [
      'weights that do not fit their dims',
      identity({ initializers: { w: { dtype: 'float32', dims: [3], data: [1, 2] } } }),
      /tensor "w": expected 12 bytes.*received 8/,
    ],
    [
      'weights whose dims overflow',
      rawGraph({ initializer: [{ name: 'w', dataType: 1, dims: [2 ** 40, 2 ** 40], rawData: new Uint8Array(4) }] }),
      /tensor "w"/,
    ],
  ])('%s', async (_, bytes, message) => {
    const error = await failure(saved(bytes))
    expect(error.message).toMatch(message)
    expect(error.code).toBe('MODEL_INVALID')
  })

  test('a structure without end is refused before it fills the memory', async () => {
    const nodes = Buffer.alloc(16e6, Uint8Array.from([tag(1), 0]))
    const error = await failure(saved(wireField(7, nodes)))
    expect(error.code).toBe('MODEL_UNSUPPORTED')
  })

  test('a folder, or no file at all, is an error', async () => {
    expect(await failure(folder)).toMatchObject({ code: 'MODEL_INVALID', received: 'a folder' })
    expect(await failure(join(folder, 'absent.onnx'))).toMatchObject({ code: 'MODEL_NOT_FOUND' })
    expect(await failure(join(saved('x'), 'inside.onnx'))).toMatchObject({ code: 'MODEL_NOT_FOUND' })
  })
})

describe('external data', () => {
  const home = join(folder, 'home')
  mkdirSync(join(home, 'inner'), { recursive: true })
  writeFileSync(join(folder, 'secret.bin'), new Uint8Array(64))
  writeFileSync(join(home, 'data.bin'), new Uint8Array(64))

  test.each<[string, string, object, RegExp]>([
    ['missing', 'absent.bin', {}, /Keep the data file in the folder of the model/],
    ['without a location', '', {}, /no location/],
    ['too short', 'data.bin', { offset: 56 }, /expected 16 bytes at offset 56, received a file of 64 bytes/],
    ['beyond the end', 'data.bin', { offset: 2 ** 40, length: 16 }, /received a file of 64 bytes/],
    [
      'of another size than its dims',
      'data.bin',
      { length: 8 },
      /expected 16 bytes for its dims and dtype, received 8/,
    ],
    ['with a negative offset', 'data.bin', { offset: -4 }, /offset as a whole number/],
    ['with an offset of 2^70', 'data.bin', { offset: `${2n ** 70n}` }, /offset as a whole number/],
    ["outside the model's folder", '../secret.bin', {}, /a path that leaves it/],
    ["outside the model's folder by a detour", 'inner/../../secret.bin', {}, /a path that leaves it/],
    ['at an absolute path', join(folder, 'secret.bin'), {}, /received another path/],
    ['at an absolute path of Windows', 'C:\\secret.bin', {}, /received another path/],
    ['at a path with a null byte', 'data.bin\0', {}, /received another path/],
    ['a folder', 'inner', {}, /expected a file, received something else/],
    ['the folder itself', '.', {}, /a path that leaves it/],
  ])('%s', async (_, location, more, message) => {
    const error = await failure(
      saved(identity({ initializers: { weight: weight(location, more) } }), join('home', 'model.onnx')),
    )
    expect(error.message).toMatch(message)
    expect(error.message).toContain('tensor "weight"')
    expect(error.code).toBe('EXTERNAL_DATA')
  })

  test.skipIf(process.platform === 'win32')("a link out of the model's folder is refused", async () => {
    symlinkSync(join(folder, 'secret.bin'), join(home, 'link.bin'))
    expect(
      await failure(saved(identity({ initializers: { weight: weight('link.bin') } }), join('home', 'model.onnx'))),
    ).toMatchObject({
      code: 'EXTERNAL_DATA',
    })
  })

  test.skipIf(process.platform === 'win32')(
    'a linked model finds its data next to the link or next to the real file',
    async () => {
      const store = join(folder, 'store')
      const links = join(folder, 'links')
      mkdirSync(store)
      mkdirSync(links)
      writeFileSync(join(store, 'blob1'), identity({ initializers: { weight: weight('weights.bin') } }))
      writeFileSync(join(store, 'blob2'), new Uint8Array(16))
      symlinkSync(join(store, 'blob1'), join(links, 'model.onnx'))
      expect(await failure(join(links, 'model.onnx'))).toMatchObject({ code: 'EXTERNAL_DATA' })
      symlinkSync(join(store, 'blob2'), join(links, 'weights.bin'))
      expect((await readModel(join(links, 'model.onnx'))).external[0]?.file).toMatch(/blob2$/)
      writeFileSync(join(store, 'weights.bin'), new Uint8Array(16))
      expect((await readModel(join(store, 'blob1'))).external[0]?.file).toMatch(/store.weights\.bin$/)
    },
  )
})

async function countReads(task: () => Promise<unknown>): Promise<number> {
  const handle = await open(saved('x'))
  const reads = vi.spyOn(Object.getPrototypeOf(handle) as typeof handle, 'read')
  await handle.close()
  try {
    await task()
    const results = await Promise.all(reads.mock.results.map(({ value }) => value as Promise<{ bytesRead: number }>))
    return results.reduce((sum, { bytesRead }) => sum + bytesRead, 0)
  } finally {
    reads.mockRestore()
  }
}

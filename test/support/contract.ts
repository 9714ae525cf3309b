import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  createModel,
  dtypes,
  type DType,
  type LoadOptions,
  type Model,
  type ModelManifest,
} from 'unplugin-onnx/runtime'
import { describe, expect, test } from 'vitest'
import type { ErrorCode } from '../../runtime/errors.ts'
import { testBindings } from './contract-bindings.ts'
import { factsOf } from './engines.ts'
import { tempFolder } from './helpers.ts'
import type { ModelSpec } from './models.ts'

/** What the shared suite needs to know of a backend. */
export interface ContractBackend {
  readonly name: string
  /** Compiles a model into `folder`. The engine's `file` is an absolute path. */
  makeManifest(folder: string, name: string, spec: ModelSpec): Promise<ModelManifest>
  /** Options for all of its models. */
  readonly options?: LoadOptions
  /** The dtypes that its bindings may have, with all of their values. */
  readonly dtypes: readonly DType[]
  /** Dtypes of which it takes the values that fit in 32 bits. */
  readonly narrowed?: readonly DType[]
  /** The error of a model with a binding of any other dtype. */
  readonly refused?: Readonly<Partial<Record<DType, ErrorCode>>>
  /** The error of a model with an input of which a dim is always 0, if it refuses that. */
  readonly refusedZero?: ErrorCode
  /** Why it cannot run here; undefined when it can. */
  readonly missing?: string | undefined
}

/** What every backend owes to a caller of infer(). */
export function testBackend(backend: ContractBackend): void {
  const { name, makeManifest, options, dtypes: kinds, narrowed = [], refused = {}, refusedZero, missing } = backend
  const root = tempFolder()
  const cache = new Map<ModelSpec, Promise<ModelManifest>>()
  const compile = (spec: ModelSpec): Promise<ModelManifest> => {
    const made = cache.get(spec) ?? makeManifest(root, `model${cache.size}`, spec)
    cache.set(spec, made)
    return made
  }
  const open = async (spec: ModelSpec): Promise<Model> => createModel(await compile(spec), options)
  // A folder of its own, to damage the engine in it.
  const openCopy = async (folder: string): Promise<{ model: Model; file: string; manifest: ModelManifest }> => {
    const manifest = await compile(sum)
    const [variant] = manifest.variants
    if (!variant) throw new Error('the backend made no engine')
    mkdirSync(join(root, folder))
    const file = join(root, folder, 'engine')
    writeFileSync(file, readFileSync(variant.file as string))
    const copy = { ...manifest, variants: [{ ...variant, file }] }
    return { model: createModel(copy, options), file, manifest: copy }
  }

  describe.skipIf(missing)(`engine of ${name}`, () => {
    testBindings({ open, dtypes: [...kinds, ...narrowed], refused, refusedZero })

    test('several inputs give outputs with their dims and dtype', async () => {
      await using model = await open(sum)
      const { total, product } = await model.infer({
        a: matrix(2, [1, 2, 3, 4, 5, 6]),
        b: matrix(2, [10, 20, 30, 40, 50, 60]),
      })
      expect(total).toEqual({ dtype: 'float32', dims: [2, 3], data: Float32Array.of(11, 22, 33, 44, 55, 66) })
      expect(product).toEqual({ dtype: 'float32', dims: [2, 3], data: Float32Array.of(10, 40, 90, 160, 250, 360) })
    })

    test.each(kinds)('%s goes through unchanged', async (dtype) => {
      await using model = await open({
        inputs: { x: `${dtype}[n,2]` },
        outputs: { y: `${dtype}[n,2]` },
        nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
      })
      const data = samples(dtype)
      const { y } = await model.infer({ x: { data, dims: [2, 2] } })
      expect(y).toEqual({ dtype, dims: [2, 2], data })
    })

    test('tensors without elements run', async () => {
      await using model = await open(sum)
      const { total } = await model.infer({ a: matrix(0, []), b: matrix(0, []) })
      expect(total).toEqual({ dtype: 'float32', dims: [0, 3], data: new Float32Array(0) })
    })

    test('each of many callers at once gets its own numbers', async () => {
      await using model = await open(sum)
      const one = matrix(1, [1, 1, 1])
      const results = await Promise.all(
        Array.from({ length: 24 }, (_, n) => model.infer({ a: matrix(1, [n, n, n]), b: one })),
      )
      expect(results.map(({ total }) => total?.data[0])).toEqual(results.map((_, n) => n + 1))
    })

    test.each(['not loaded yet', 'loaded'])(
      'inputs may be overwritten once infer() has returned (%s)',
      async (state) => {
        await using model = await open(sum)
        if (state === 'loaded') await model.load()
        const data = Float32Array.of(1, 2, 3)
        const running = model.infer({ a: { data, dims: [1, 3] }, b: { data, dims: [1, 3] } })
        data.fill(100)
        expect((await running)['total']?.data).toEqual(Float32Array.of(2, 4, 6))
        expect(data).toEqual(Float32Array.of(100, 100, 100))
      },
    )

    test('shared memory, parts of larger buffers and Node.js buffers are accepted', async () => {
      await using model = await open(sum)
      const shared = new Float32Array(new SharedArrayBuffer(12))
      shared.set([1, 2, 3])
      const part = Float32Array.of(0, 0, 4, 5, 6, 0).subarray(2, 5)
      const { total } = await model.infer({ a: { data: shared, dims: [1, 3] }, b: { data: part, dims: [1, 3] } })
      expect(total?.data).toEqual(Float32Array.of(5, 7, 9))
      const { y } = await (await open(bytes)).infer({ x: { data: Buffer.from('node'), dims: [4] } })
      expect(Buffer.from(y?.data as Uint8Array).toString()).toBe('node')
    })

    test("the caller's arrays are detached only with transfer: true", async () => {
      await using model = await open(sum)
      const [kept, moved] = [matrix(1, [1, 2, 3]), matrix(1, [1, 2, 3])]
      await model.infer({ a: kept, b: kept })
      expect(kept.data).toHaveLength(3)
      const { total } = await model.infer({ a: moved, b: moved }, { transfer: true })
      expect(total?.data).toEqual(Float32Array.of(2, 4, 6))
      expect(moved.data).toHaveLength(0)
    })

    test('transfer: true copies what cannot be moved', async () => {
      await using model = await open(bytes)
      const pooled = Buffer.from('node')
      const shared = new Uint8Array(new SharedArrayBuffer(4))
      const { Memory } = Reflect.get(globalThis, 'WebAssembly') as {
        Memory: new (pages: { initial: number }) => { buffer: ArrayBuffer }
      }
      const memory = new Uint8Array(new Memory({ initial: 1 }).buffer, 8, 4)
      for (const data of [pooled, shared, memory]) {
        const { y } = await model.infer({ x: { data, dims: [4] } }, { transfer: true })
        expect(y?.data).toEqual(Uint8Array.from(data))
        expect(data).toHaveLength(4)
      }
    })

    test('outputs own their buffers', async () => {
      await using model = await open(sum)
      const input = matrix(1, [1, 2, 3])
      const { total, product } = await model.infer({ a: input, b: input }, { transfer: true })
      const data = total?.data as Float32Array<ArrayBuffer>
      const moved = structuredClone(data, { transfer: [data.buffer] })
      expect(moved).toEqual(Float32Array.of(2, 4, 6))
      expect(product?.data).toEqual(Float32Array.of(1, 4, 9))
    })

    test('a signal that has already aborted starts no run', async () => {
      await using model = await open(sum)
      const input = matrix(1, [1, 2, 3])
      const running = model.infer({ a: input, b: input }, { signal: AbortSignal.abort('enough') })
      await expect(running).rejects.toMatchObject({ code: 'ABORTED', cause: 'enough' })
      expect(model.variant).toBeUndefined()
    })

    test('an aborted call rejects at once, and the next caller is served', async () => {
      await using model = await open(slow)
      const input = { data: new Float32Array(256 * 256).fill(0.001), dims: [256, 256] }
      await model.load()
      const order: string[] = []
      const controller = new AbortController()
      const first = model.infer({ x: input }).then(() => order.push('first'))
      const aborted = Array.from({ length: 12 }, () =>
        model.infer({ x: input }, { signal: controller.signal }).catch((error: unknown) => {
          order.push('aborted')
          return error
        }),
      )
      controller.abort(new Error('changed my mind'))
      for (const error of await Promise.all(aborted))
        expect(error).toMatchObject({ code: 'ABORTED', cause: { message: 'changed my mind' } })
      expect(order).not.toContain('first')
      await first
      expect(Object.keys(await model.infer({ x: input }))).toEqual(['y'])
    })

    test('calls with a signal that has no removeEventListener keep being served', async () => {
      await using model = await open(sum)
      const input = { a: matrix(1, [1, 2, 3]), b: matrix(1, [1, 2, 3]) }
      const signal = { aborted: false, addEventListener() {} } as unknown as AbortSignal
      for (let call = 0; call < 20; call++)
        expect((await model.infer(input, { signal }))['total']?.data).toEqual(Float32Array.of(2, 4, 6))
    })

    test('an abort during loading or after the result does no harm', async () => {
      await using model = await open(sum)
      const input = { a: matrix(1, [1, 2, 3]), b: matrix(1, [1, 2, 3]) }
      const during = new AbortController()
      const running = model.infer(input, { signal: during.signal })
      during.abort()
      await expect(running).rejects.toMatchObject({ code: 'ABORTED' })
      const after = new AbortController()
      const { total } = await model.infer(input, { signal: after.signal })
      after.abort()
      expect(total?.data).toEqual(Float32Array.of(2, 4, 6))
    })

    test('dispose finishes calls in flight, and later calls are refused', async () => {
      const model = await open(slow)
      const input = { x: { data: new Float32Array(256 * 256), dims: [256, 256] } }
      const order: string[] = []
      const running = [1, 2, 3].map(() => model.infer(input).then(() => order.push('result')))
      const disposals = [1, 2].map(() => model.dispose().then(() => order.push('disposed')))
      await expect(model.infer(input)).rejects.toMatchObject({ code: 'DISPOSED' })
      await Promise.all([...running, ...disposals])
      expect(order).toEqual(['result', 'result', 'result', 'disposed', 'disposed'])
      await expect(model.load()).rejects.toMatchObject({ code: 'DISPOSED' })
      await model.dispose()
    })

    test('dispose works during loading and without it', async () => {
      const model = await open(sum)
      const loading = model.load()
      await model.dispose()
      expect(await loading).toBe(model)
      await expect((await open(sum)).dispose()).resolves.toBeUndefined()
    })

    test('a failed run leaves the engine usable', async () => {
      await using model = await open({
        inputs: { x: 'float32[n]', shape: 'int64[2]' },
        outputs: { y: 'float32[?,?]' },
        nodes: [{ op: 'Reshape', inputs: ['x', 'shape'], outputs: ['y'], name: 'fold' }],
      })
      const x = { data: Float32Array.of(1, 2, 3, 4), dims: [4] }
      const wrong = model.infer({ x, shape: { data: BigInt64Array.of(3n, 3n), dims: [2] } })
      await expect(wrong).rejects.toMatchObject({
        name: 'OnnxEngineError',
        code: 'INFERENCE_FAILED',
        message: expect.stringMatching(/fold|[Rr]eshape/),
      })
      const { y } = await model.infer({ x, shape: BigInt64Array.of(2n, 2n) })
      expect(y?.dims).toEqual([2, 2])
    })

    test('a changed, cut or missing file is refused, and the right one loads again', async () => {
      const { model, file } = await openCopy('damaged')
      const original = readFileSync(file)
      const changed = Uint8Array.from(original, (byte, index) => (index === original.length >> 1 ? byte ^ 1 : byte))
      const damages: readonly [string, () => void][] = [
        ['SHA-256', () => writeFileSync(file, changed)],
        [`${original.length - 1} bytes`, () => truncateSync(file, original.length - 1)],
        ['0 bytes', () => truncateSync(file)],
        ['no such file', () => rmSync(file)],
      ]
      for (const [text, damage] of damages) {
        damage()
        await expect(model.load()).rejects.toMatchObject({
          code: 'ARTIFACT_INVALID',
          message: expect.stringContaining(text),
        })
      }
      writeFileSync(file, original)
      await model.load()
      await model.dispose()
    })

    test('a file that is no engine is an error, not a crash', async () => {
      const { file, manifest } = await openCopy('garbage')
      for (const garbage of ['', 'no engine', readFileSync(file).subarray(0, 200)]) {
        writeFileSync(file, garbage)
        const variants = manifest.variants.map((variant) => ({ ...variant, ...factsOf(file) }))
        const model = createModel({ ...manifest, variants }, options)
        await expect(model.load()).rejects.toMatchObject({ name: 'OnnxEngineError' })
      }
    })
  })
}

const sum: ModelSpec = {
  inputs: { a: 'float32[n,3]', b: 'float32[n,3]' },
  outputs: { total: 'float32[n,3]', product: 'float32[n,3]' },
  nodes: [
    { op: 'Add', inputs: ['a', 'b'], outputs: ['total'] },
    { op: 'Mul', inputs: ['a', 'b'], outputs: ['product'] },
  ],
}

const bytes: ModelSpec = {
  inputs: { x: 'uint8[n]' },
  outputs: { y: 'uint8[n]' },
  nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
}

// Long enough that everything a test does meanwhile comes first.
const slow: ModelSpec = {
  inputs: { x: 'float32[n,n]' },
  outputs: { y: 'float32[n,n]' },
  nodes: Array.from({ length: 40 }, (_, step) => ({
    op: 'MatMul',
    inputs: [step === 0 ? 'x' : `x${step}`, 'x'],
    outputs: [step === 39 ? 'y' : `x${step + 1}`],
  })),
}

function matrix(rows: number, values: readonly number[]): { data: Float32Array; dims: number[] } {
  return { data: Float32Array.from(values), dims: [rows, 3] }
}

/** Four elements of a dtype, the extremes among them. */
function samples(dtype: DType) {
  const { array, bits } = dtypes[dtype]
  if (dtype === 'bool') return Uint8Array.of(0, 1, 1, 0)
  if (array === 'Array') return ['', 'größer\n', '"', '文']
  if (array === 'Float32Array' || array === 'Float64Array') return globalThis[array].of(0, -0.5, Infinity, NaN)
  if (array === 'BigInt64Array' || array === 'BigUint64Array') return globalThis[array].of(0n, 1n, -1n, 1n << 63n)
  return globalThis[array].of(0, 1, -1, 2 ** (bits - 1))
}

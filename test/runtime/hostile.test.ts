import { execFileSync } from 'node:child_process'
import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { createModel, loadModel, type Model, type ModelManifest } from 'unplugin-onnx/runtime'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkInputs } from '../../runtime/check-inputs.ts'
import type { Binding } from '../../runtime/manifest.ts'
import { openKernelCache } from '../../runtime/tensorrt/kernel-cache.ts'
import { double, factsOf, ortManifest, pair } from '../support/engines.ts'
import { tempFolder } from '../support/helpers.ts'

const folder = tempFolder()
let manifest: ModelManifest
let model: Model

beforeAll(async () => {
  manifest = await ortManifest(folder, 'double', double)
  model = createModel(manifest)
})
afterAll(async () => {
  await model.dispose()
})

const unreadable = {
  get href(): string {
    throw new Error('no')
  },
}
const places: readonly [string, () => unknown][] = [
  ['a URL with a host', () => 'file://host/pose.json'],
  ['a URL object with a host', () => new URL('file://host/pose.json')],
  ['a URL with an encoded slash', () => 'file:///a%2Fb.json'],
  ['a URL that is wrongly encoded', () => 'file:///%zz.json'],
  ['a path with NUL', () => 'pose\0.json'],
  ['no text', () => ''],
  ['a symbol', () => Symbol('pose')],
  ['an object without a prototype', () => Object.create(null)],
  ['an object that cannot be read', () => unreadable],
  ['a revoked proxy', () => revoked()],
]

describe('the place of a manifest or an engine', () => {
  test.each(places)('%s is refused by loadModel() with a code', async (_, place) => {
    await expect(loadModel(place() as string)).rejects.toMatchObject({
      name: 'OnnxEngineError',
      code: 'MODEL_NOT_FOUND',
    })
  })

  test.each(places)('%s is refused by load() with a code', async (_, place) => {
    await expect(createModel(withFile(place() as string)).load()).rejects.toMatchObject({
      name: 'OnnxEngineError',
      code: 'ARTIFACT_INVALID',
    })
  })
})

describe('requirements of another form in a manifest', () => {
  const machine = { platform: process.platform, arch: process.arch }
  const rtx = { version: '1.7.1.116', targets: ['sm89'], ...machine }
  const plan = { version: '11.4.1.1', gpu: 'RTX 4090', computeCapability: 'sm89', driver: '580.95.05', ...machine }
  const blob = { version: '2026.4.1', device: 'CPU', arch: process.arch, runtimeRequirements: '', properties: {} }
  const engine = { version: '1.30.0', arch: 'any', layout: 0 }

  test.each<[string, object, string]>([
    ['onnxruntime', {}, 'requires.version to be text, received nothing'],
    ['onnxruntime', { ...engine, version: 1.3 }, 'requires.version to be text, received 1.3'],
    ['onnxruntime', { ...engine, layout: 12 }, 'requires.layout to be 0, 8 or 16, received 12'],
    ['onnxruntime', { ...engine, vnni: false }, 'requires.vnni to be true or nothing, received false'],
    ['openvino', { ...blob, version: null }, 'requires.version to be text, received null'],
    ['openvino', { ...blob, properties: [] }, 'requires.properties to be an object, received a list'],
    ['openvino', { ...blob, properties: { a: 1 } }, 'requires.properties["a"] to be text, received 1'],
    ['tensorrt-rtx', { ...rtx, targets: 'sm89' }, 'requires.targets to be a list, received string'],
    ['tensorrt-rtx', { ...rtx, targets: [89] }, 'requires.targets[0] to be text, received 89'],
    ['tensorrt', { ...plan, computeCapability: 89 }, 'requires.computeCapability to be text, received 89'],
    ['tensorrt', { ...plan, driver: undefined }, 'requires.driver to be text, received nothing'],
    ['tensorrt', { ...plan, versionCompatible: 'yes' }, 'requires.versionCompatible to be true or nothing'],
  ])('%s %o is refused by loadModel() with the key path', async (backend, requires, message) => {
    const [variant] = manifest.variants
    const path = write(`${backend}.json`, { ...manifest, variants: [{ ...variant, backend, requires }] })
    await expect(loadModel(path)).rejects.toMatchObject({
      code: 'ARTIFACT_INVALID',
      message: expect.stringContaining(`the manifest.variants[0].${message}`),
    })
  })

  test('a variant of a backend that this version does not know is skipped by load()', async () => {
    const [variant] = manifest.variants
    const path = write('later.json', {
      ...manifest,
      variants: [{ ...variant, backend: 'later', requires: {} }, variant],
    })
    await using loaded = await (await loadModel(path)).load()
    expect(loaded.variant?.skipped).toMatchObject([{ backend: 'later' }])
  })
})

describe.skipIf(process.platform === 'win32' && 'Windows has no FIFOs in its file system')('a FIFO', () => {
  const fifo = join(folder, 'fifo')
  const link = join(folder, 'link')

  beforeAll(() => {
    execFileSync('mkfifo', [fifo])
    symlinkSync(fifo, link)
  })

  test.each([
    ['a FIFO', fifo],
    ['a link to one', link],
  ])('that is a manifest is refused by loadModel() instead of waited for: %s', async (_, path) => {
    await expect(loadModel(path)).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND', received: 'a FIFO' })
  })

  test.each([
    ['a FIFO', fifo],
    ['a link to one', link],
  ])('that is an engine is refused by load() instead of waited for: %s', async (_, path) => {
    await expect(createModel(withFile(pathToFileURL(path))).load()).rejects.toMatchObject({
      code: 'ARTIFACT_INVALID',
      expected: 'a regular file',
      received: 'a FIFO',
    })
  })

  test('that is a kernel cache is empty', async () => {
    expect(await openKernelCache(fifo).read()).toEqual(new Uint8Array(0))
  })
})

describe('inputs that are not what they seem', () => {
  const shortened = Float32Array.of(1, 2)
  Object.defineProperties(shortened, { length: { value: 200 }, byteLength: { value: 800 }, byteOffset: { value: -8 } })

  class Liar extends Float32Array {
    override get byteLength() {
      return 1 << 20
    }
    override get buffer(): ArrayBuffer {
      return new ArrayBuffer(1 << 20)
    }
  }

  test.each<[string, () => unknown]>([
    ['own properties', () => shortened],
    ['a subclass', () => Liar.of(1, 2)],
  ])('an array that lies about its extent by %s is read as it is', async (_, data) => {
    const { y } = await model.infer({ x: { data: data() as Float32Array, dims: [1, 2] } })
    expect(y?.data).toEqual(Float32Array.of(2, 4))
    await expect(model.infer({ x: { data: data() as Float32Array, dims: [100, 2] } })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      expected: '200 elements for dims [100,2]',
      received: '2',
    })
  })

  const endless = Object.assign([1, 2], {
    *[Symbol.iterator]() {
      for (;;) yield 1
    },
  })
  const throwing = {
    get data(): never {
      throw new Error('broken getter')
    },
    dims: [1, 2],
  }

  test.each<[string, () => unknown, string]>([
    ['a revoked proxy', () => revoked(), 'inputs that can be read'],
    ['a revoked proxy for an input', () => ({ x: revoked() }), 'inputs that can be read'],
    ['a revoked proxy for data', () => ({ x: { ...pair, data: revoked() } }), 'a Float32Array for float32[n,2]'],
    ['a revoked proxy for dims', () => ({ x: { ...pair, dims: revoked() } }), 'inputs that can be read'],
    ['a revoked list for dims', () => ({ x: { ...pair, dims: revoked([]) } }), 'inputs that can be read'],
    ['a getter that throws', () => ({ x: throwing }), 'inputs that can be read'],
    ['dims of four thousand million', () => ({ x: { ...pair, dims: Array(2 ** 32 - 1) } }), 'dims as an array'],
  ])('%s is refused with a code', async (_, inputs, expected) => {
    await expect(model.infer(inputs() as Record<string, never>)).rejects.toMatchObject({
      name: 'OnnxEngineError',
      code: 'INPUT_INVALID',
      expected: expect.stringContaining(expected),
    })
  })

  test('dims with an endless iterator are read by their length', async () => {
    const { y } = await model.infer({ x: { ...pair, dims: endless } })
    expect(y?.dims).toEqual([1, 2])
  })

  test('revoked options are refused with a code', async () => {
    await expect(model.infer({ x: pair }, revoked() as object)).rejects.toMatchObject({ code: 'OPTION_INVALID' })
    expect(() => createModel(manifest, revoked() as object)).toThrow(
      expect.objectContaining({ code: 'OPTION_INVALID' }),
    )
  })
})

describe('a signal of another library', () => {
  test('needs no removeEventListener', async () => {
    const listeners: (() => void)[] = []
    const signal = {
      aborted: false,
      reason: 'enough',
      addEventListener: (_: string, listener: () => void) => {
        listeners.push(listener)
      },
    } as unknown as AbortSignal
    const { y } = await model.infer({ x: pair }, { signal })
    expect(y?.data).toEqual(Float32Array.of(2, 4))
    const running = model.infer({ x: pair }, { signal })
    listeners[0]?.()
    await expect(running).rejects.toMatchObject({ code: 'ABORTED', cause: 'enough' })
  })

  test.each<[string, object]>([
    ['has no method to listen', { aborted: false, addEventListener: true }],
    [
      'throws when it is listened to',
      {
        aborted: false,
        addEventListener() {
          throw new Error('closed')
        },
      },
    ],
  ])('that %s is refused before anything runs', async (_, signal) => {
    const data = Float32Array.of(1, 2)
    const call = model.infer({ x: { data, dims: [1, 2] } }, { signal: signal as AbortSignal, transfer: true })
    await expect(call).rejects.toMatchObject({ code: 'OPTION_INVALID' })
    expect(data).toHaveLength(2)
  })
})

describe('the inputs of a model with thousands of them', () => {
  test('are checked in linear time', () => {
    expect(readsFor(5000)).toBe(10 * readsFor(500))
  })

  test('are not all listed in a message', () => {
    const bindings = manyBindings(5000)
    const wrong = () => checkInputs('wide', bindings, { ...valuesOf(bindings), imput7: new Float32Array(1) })
    expect(wrong).toThrow(/"input19": float32\[1\], and 4980 more, received an unknown name\. Did you mean "input7"\?$/)
  })
})

test('a name of thousands of characters is not compared with others of its length', () => {
  const name = 'x'.repeat(5000)
  const wrong = () => checkInputs('wide', [{ name: `${name}y`, dtype: 'float32', dims: [1] }], { [name]: 1 })
  expect(wrong).toThrow(/received an unknown name$/)
})

test('many models with workers of their own share one listener for the exit of the process', async () => {
  const before = process.listenerCount('exit')
  const models = Array.from({ length: 12 }, () => createModel(manifest, { workers: 1 }))
  await Promise.all(models.map((each) => each.infer({ x: pair })))
  expect(process.listenerCount('exit') - before).toBeLessThanOrEqual(1)
  await Promise.all(models.map((each) => each.dispose()))
})

describe('a Buffer for numbers', () => {
  const x: Binding = { name: 'x', dtype: 'float32', dims: [4] }
  const hintFor = (data: unknown): unknown => {
    try {
      return checkInputs('pose', [x], { x: data })
    } catch (error) {
      return (error as { hint?: string }).hint
    }
  }
  const unaligned = Buffer.from(new ArrayBuffer(17), 1, 16)

  test.each<[string, Uint8Array, string | undefined]>([
    [
      'whose bytes are as many',
      Buffer.from(new ArrayBuffer(16)),
      'If its bytes are float32, pass new Float32Array(data.buffer, data.byteOffset, 4).',
    ],
    [
      'whose bytes begin between two elements',
      unaligned,
      'If its bytes are float32, pass new Float32Array(new Uint8Array(data).buffer).',
    ],
    ['with one byte for each', Buffer.alloc(4), 'If each of its elements is a value, pass Float32Array.from(data).'],
    ['of another length', Buffer.alloc(5), undefined],
  ])('%s gets the view to write in the hint', (_, data, hint) => {
    expect(hintFor(data)).toBe(hint)
  })

  test('works once it is passed as the hint says', () => {
    const data = Buffer.from(Float32Array.of(1, 2, 3, 4).buffer)
    const view = new Float32Array(data.buffer, data.byteOffset, 4)
    expect(checkInputs('pose', [x], { x: view }).get('x')?.data).toEqual(Float32Array.of(1, 2, 3, 4))
    const copy = new Float32Array(new Uint8Array(unaligned).buffer)
    expect(checkInputs('pose', [x], { x: copy }).get('x')?.data).toEqual(new Float32Array(4))
  })
})

test('a name from a model cannot reach the escapes of a terminal', () => {
  const name = '\u001b[2J\u009b2J\u202egnp.\u2066x\r\b'
  expect(() => checkInputs(name, [], { [name]: 1 })).toThrow(
    expect.objectContaining({ message: expect.stringMatching(/^[\u0020-\u007e]+$/) }),
  )
})

let nameReads = 0

/** Bindings that count how often their names are read. */
function manyBindings(count: number): readonly Binding[] {
  return Array.from({ length: count }, (_, index) => ({
    get name() {
      nameReads++
      return `input${index}`
    },
    dtype: 'float32' as const,
    dims: [1],
  }))
}

function valuesOf(bindings: readonly Binding[]): Record<string, Float32Array> {
  return Object.fromEntries(bindings.map(({ name }) => [name, new Float32Array(1)]))
}

function readsFor(count: number): number {
  const bindings = manyBindings(count)
  const inputs = valuesOf(bindings)
  nameReads = 0
  expect(checkInputs('wide', bindings, inputs).size).toBe(count)
  return nameReads
}

function revoked(target: object = {}): unknown {
  const { proxy, revoke } = Proxy.revocable(target, {})
  revoke()
  return proxy
}

function withFile(file: URL | string): ModelManifest {
  const facts = factsOf(join(folder, 'double.ort'))
  return { ...manifest, variants: manifest.variants.map((variant) => ({ ...variant, file, ...facts })) }
}

function write(name: string, content: unknown): string {
  const path = join(folder, name)
  writeFileSync(path, JSON.stringify(content))
  return path
}

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ort from 'onnxruntime-node'
import { beforeEach, describe, expect, test } from 'vitest'
import { openStore } from '../../plugin/cache/store.ts'
import { compileModel } from '../../plugin/compile/model.ts'
import type { Compiled } from '../../plugin/compile/variant.ts'
import { modelId, parseRequest, queryText } from '../../plugin/options/query.ts'
import { compileOptions, resolveOptions } from '../../plugin/options/resolve.ts'
import type { Options } from '../../plugin/options/types.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel, onnxModel } from '../support/models.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

let folder: string
let lines: string[]
beforeEach(() => {
  folder = tempFolder()
  lines = []
})

function log(line: string): void {
  lines.push(line)
}

/** Compiles an import such as 'm.onnx?engine=fp32' of the test's folder, whose cache lies in it. */
async function compileImport(text: string, options: Options = {}, signal?: AbortSignal): Promise<Compiled> {
  const resolved = resolveOptions({ cache: { dir: join(folder, 'cache') }, ...options }, root)
  const request = parseRequest(join(folder, text))!
  const store = openStore({ ...resolved.cache, warn: log })
  return compileModel(
    {
      file: request.file,
      query: queryText(modelId(request)),
      convert: {},
      options: compileOptions(resolved, request),
      root,
    },
    { store, log, warn: log, ...(signal && { signal }) },
  )
}

function write(name: string, bytes: Uint8Array | string): string {
  const file = join(folder, name)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, bytes)
  return file
}

function sessions({ variants }: Compiled): Promise<ort.InferenceSession[]> {
  return Promise.all(
    variants.map(({ artifact, extension }) => {
      const format = extension === '.ort' ? 'ORT' : 'ONNX'
      return ort.InferenceSession.create(readFileSync(artifact.file), {
        extra: { session: { load_model_format: format } },
      })
    }),
  )
}

async function run(compiled: Compiled, x: number[]): Promise<number[][]> {
  const results: number[][] = []
  for (const session of await sessions(compiled)) {
    const { y } = await session.run({ x: new ort.Tensor('float32', x, [1, x.length]) })
    results.push([...(y!.data as Float32Array)])
  }
  return results
}

describe('model compiled for ONNX Runtime', () => {
  test('a compiled model has engines that ONNX Runtime runs, and the bindings', async () => {
    write('m.onnx', affineModel())
    const compiled = await compileImport('m.onnx')
    expect(compiled.name).toBe('m')
    expect(compiled.bindings.inputs).toEqual([{ name: 'x', dtype: 'float32', dims: [1, 4] }])
    const results = await run(compiled, [1, 2, 3, 4])
    expect(results.length).toBeGreaterThan(0)
    for (const result of results) expect(result).toEqual([3, 5, 7, 9])
  })

  test('a second compilation is a hit, and its lines say so', async () => {
    write('m.onnx', affineModel())
    const first = await compileImport('m.onnx')
    const second = await compileImport('m.onnx')
    expect(second.variants.map(({ cache }) => cache.reason)).toEqual(second.variants.map(() => 'hit'))
    expect(second.variants.map(({ artifact }) => artifact)).toEqual(first.variants.map(({ artifact }) => artifact))
    expect(lines).toContainEqual(
      expect.stringMatching(/^m {2}fp32 {2}onnxruntime.* {2}miss: new {2}[\d.]+ kB {2}[\d.]+ s$/),
    )
    expect(lines.at(-1)).toMatch(/ {2}hit {2}/)
  })

  test('only the portable engine runs on any CPU', async () => {
    write('m.onnx', affineModel())
    const { variants } = await compileImport('m.onnx', { onnxruntime: { optimization: 'extended' } })
    expect(variants.map(({ requires }) => requires)).toEqual([expect.objectContaining({ arch: 'any', layout: 0 })])
    const all = await compileImport('m.onnx')
    expect(all.variants.at(-1)).toMatchObject({ label: 'portable', requires: { arch: 'any', layout: 0 } })
    const alone = await compileImport('m.onnx', { onnxruntime: { portable: false } })
    expect(alone.variants).toHaveLength(1)
  })

  test('dims of the query are in the bindings', async () => {
    write('m.onnx', affineModel({ dims: 'n,4' }))
    const compiled = await compileImport('m.onnx?shapes=x:1x4')
    expect(compiled.bindings.inputs[0]?.dims).toEqual([1, 4])
    expect(compiled.bindings.outputs[0]?.dims).toEqual([1, 4])
    for (const result of await run(compiled, [1, 2, 3, 4])) expect(result).toEqual([3, 5, 7, 9])
  })
})

describe('fixed dims', () => {
  test.each([
    ['a named one', 'n,4', {}],
    ['one without a name', '?,4', {}],
    ['one of each', 'n,?', {}],
    ['all of an unknown rank', undefined, {}],
    ['one without a name, with weights stored in fp16', '?,4', { engine: 'fp16', verify: false }],
  ] satisfies [string, string | undefined, Options][])(
    'fixed dims by %s are static in every engine',
    async (_, dims, options) => {
      write('m.onnx', dims === undefined ? unranked : affineModel({ dims }))
      const compiled = await compileImport('m.onnx?shapes=x:1x4', options)
      expect(compiled.bindings.inputs[0]?.dims).toEqual([1, 4])
      for (const {
        inputMetadata: [input],
      } of await sessions(compiled))
        expect(input).toMatchObject({ name: 'x', shape: [1, 4] })
      for (const result of await run(compiled, [1, 2, 3, 4])) expect(result).toEqual([3, 5, 7, 9])
    },
  )

  test('what is computed from fixed dims is folded, also next to external data', async () => {
    write(
      'm.onnx',
      onnxModel({
        inputs: { x: 'float32[?,?]' },
        outputs: { y: 'float32[?,?]' },
        nodes: [
          { op: 'Shape', inputs: ['x'], outputs: ['shape'] },
          { op: 'Reshape', inputs: ['w', 'shape'], outputs: ['shaped'] },
          { op: 'Mul', inputs: ['x', 'shaped'], outputs: ['y'] },
        ],
        initializers: {
          w: { dtype: 'float32', dims: [4], data: [], external: { location: 'w.bin', offset: 0, length: 16 } },
        },
      }),
    )
    write('w.bin', new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer))
    const compiled = await compileImport('m.onnx?shapes=x:1x4')
    for (const { artifact } of compiled.variants) expect(readFileSync(artifact.file).includes('Reshape')).toBe(false)
    for (const result of await run(compiled, [1, 1, 1, 1])) expect(result).toEqual([1, 2, 3, 4])
  })
})

describe('reasons of a rebuild', () => {
  test.each<[string, { change: () => void; options: Options; text: string; expected: string }]>([
    [
      'other weights under the same name',
      {
        change: () => write('m.onnx', affineModel({ weight: 3, dims: 'n,4' })),
        options: {},
        text: 'm.onnx',
        expected: 'miss: weights changed',
      },
    ],
    [
      'one node attribute',
      {
        change: () => write('m.onnx', softmax(0)),
        options: {},
        text: 'm.onnx',
        expected: 'miss: graph changed',
      },
    ],
    [
      'another static shape',
      {
        change: () => {},
        options: { shapes: { x: [2, 4] } },
        text: 'm.onnx',
        expected: 'miss: shapes changed: x added (2x4)',
      },
    ],
    [
      'another optimization level',
      {
        change: () => {},
        options: { onnxruntime: { optimization: 'basic' } },
        text: 'm.onnx',
        expected: 'miss: optimization level all -> basic',
      },
    ],
    [
      'an option set to its default',
      {
        change: () => {},
        options: { engine: 'fp32', shapes: {}, onnxruntime: { optimization: 'all' } },
        text: 'm.onnx',
        expected: 'hit',
      },
    ],
    [
      'a renamed file',
      {
        change: () => copyFileSync(join(folder, 'm.onnx'), write('renamed/other.onnx', '')),
        options: {},
        text: 'renamed/other.onnx',
        expected: 'hit',
      },
    ],
  ])('%s', async (title, { change, options, text, expected }) => {
    write('m.onnx', title.startsWith('one node') ? softmax(1) : affineModel({ dims: 'n,4' }))
    await compileImport('m.onnx')
    change()
    const { variants } = await compileImport(text, options)
    expect(variants[0]?.cache.reason).toContain(expected)
  })

  test('changed external data is the reason', async () => {
    const model = onnxModel({
      inputs: { x: 'float32[1,4]' },
      outputs: { y: 'float32[1,4]' },
      nodes: [{ op: 'Mul', inputs: ['x', 'w'], outputs: ['y'] }],
      initializers: {
        w: { dtype: 'float32', dims: [4], data: [], external: { location: 'w.bin', offset: 0, length: 16 } },
      },
    })
    write('m.onnx', model)
    write('w.bin', new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer))
    for (const result of await run(await compileImport('m.onnx'), [1, 1, 1, 1])) expect(result).toEqual([1, 2, 3, 4])
    write('w.bin', new Uint8Array(Float32Array.of(5, 6, 7, 8).buffer))
    const changed = await compileImport('m.onnx')
    expect(changed.variants[0]?.cache.reason).toContain('external data changed')
    expect(changed.files.map((file) => file.slice(folder.length + 1))).toEqual(['m.onnx', 'w.bin'])
    for (const result of await run(changed, [1, 1, 1, 1])) expect(result).toEqual([5, 6, 7, 8])
  })
})

describe('failed compilation', () => {
  test('a model that ONNX Runtime refuses keeps its text and the name of the node', async () => {
    write(
      'm.onnx',
      onnxModel({
        inputs: { x: 'float32[1]' },
        outputs: { y: 'float32[1]' },
        nodes: [{ op: 'NoSuchOp', inputs: ['x'], outputs: ['y'], name: 'culprit' }],
      }),
    )
    await expect(compileImport('m.onnx', { backends: ['onnxruntime'] })).rejects.toMatchObject({
      code: 'COMPILE_FAILED',
      message: expect.stringMatching(/^m: .*(NoSuchOp|culprit)/),
    })
    write('m.onnx', affineModel())
    await expect(compileImport('m.onnx')).resolves.toBeDefined()
  })

  test('a cancelled compilation leaves nothing, and the next one works', async () => {
    write('m.onnx', affineModel())
    const controller = new AbortController()
    const compiling = compileImport('m.onnx', {}, controller.signal)
    controller.abort()
    await expect(compiling).rejects.toMatchObject({ code: 'COMPILE_ABORTED' })
    const { variants } = await compileImport('m.onnx')
    expect(variants[0]?.cache.reason).toBe('miss: new')
  })

  test('a backend that is not installed is an error that says what to install', async () => {
    write('m.onnx', affineModel())
    const options = resolveOptions({ cache: { dir: join(folder, 'cache') }, backends: ['onnxruntime'] }, folder)
    const { onnxruntime } = await import('../../plugin/backend/onnxruntime/backend.ts')
    const probe = await onnxruntime.probe(compileOptions(options, parseRequest(join(folder, 'm.onnx'))!), folder)
    expect(probe).toMatchObject({ available: true, version: expect.stringMatching(/^1\./) })
  })
})

const unranked = onnxModel({
  inputs: { x: 'float32' },
  outputs: { y: 'float32' },
  nodes: [
    { op: 'Mul', inputs: ['x', 'two'], outputs: ['double'] },
    { op: 'Add', inputs: ['double', 'one'], outputs: ['y'] },
  ],
  initializers: { two: { dtype: 'float32', dims: [1], data: [2] }, one: { dtype: 'float32', dims: [1], data: [1] } },
})

function softmax(axis: number): Uint8Array {
  return onnxModel({
    inputs: { x: 'float32[1,4]' },
    outputs: { y: 'float32[1,4]' },
    nodes: [{ op: 'Softmax', inputs: ['x'], outputs: ['y'], attributes: { axis } }],
  })
}

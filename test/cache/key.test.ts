import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { explain } from '../../plugin/cache/explain.ts'
import {
  cacheKey,
  canonicalJson,
  engineFacts,
  graphFacts,
  sourceFacts,
  type Facts,
  type Json,
} from '../../plugin/cache/key.ts'
import { digestSource } from '../../plugin/cache/source.ts'
import { openStatIndex, type StatIndex } from '../../plugin/cache/stat-index.ts'
import { hashAround, hashFile, hashSegments } from '../../plugin/files/hash.ts'
import type { ModelWithInitializers } from '../../plugin/onnx/model.ts'
import { tempFolder } from '../support/helpers.ts'

const sha = (letter: string) => letter.repeat(64)
const source = sourceFacts({ model: sha('a'), graph: sha('b'), external: [{ location: 'w.bin', sha256: sha('c') }] })
const graph = graphFacts(source, {
  passes: [{ name: 'fp16', version: 1, options: { keep: ['/head'] } }],
  shapes: { x: [1, 3, 48, 320] },
})
const plan: Facts = {
  onnxruntime: '1.30.0',
  level: 'extended',
  arch: 'x64',
  bounds: ['x:1..4'],
  strict: true,
  threads: 4,
}
const facts = engineFacts(graph, 'onnxruntime', plan)

function anotherValue(value: Facts[string]): Facts[string] {
  if (typeof value === 'object') return [...value, 'more'].map(String)
  return typeof value === 'boolean' ? !value : `${value}0`
}

describe('cache key', () => {
  test.each(Object.keys(facts))('another value of the fact %s gives another key', (name) => {
    const other = anotherValue(facts[name]!)
    expect(cacheKey({ ...facts, [name]: other }).digest).not.toBe(cacheKey(facts).digest)
  })

  test('an added fact, or a number instead of its text, gives another key', () => {
    const digests = [
      facts,
      { ...facts, driver: '570' },
      { ...facts, driver: 570 },
      { ...facts, driver: [570] },
      { ...facts, driver: ['570'] },
    ]
    expect(new Set(digests.map((each) => cacheKey(each).digest)).size).toBe(digests.length)
  })

  test('another order of names gives the same key', () => {
    const reversed = Object.fromEntries(Object.entries(facts).reverse())
    expect(cacheKey(reversed).digest).toBe(cacheKey(facts).digest)
    const shapes = { a: [1], b: [2] }
    expect(graphFacts(source, { passes: [], shapes })).toEqual(
      graphFacts(source, { passes: [], shapes: { b: [2], a: [1] } }),
    )
  })

  test('another order of passes gives another key', () => {
    const [one, two] = ['fp16', 'fold'].map((name) => ({ name, version: 1, options: {} }))
    const digests = [
      [one!, two!],
      [two!, one!],
    ].map((passes) => cacheKey(graphFacts(source, { passes, shapes: {} })).digest)
    expect(digests[0]).not.toBe(digests[1])
  })

  test('an option that is set to its default, in any order, gives the same key', () => {
    expect(keyOfPass({ maximum: 65504, keep: [] })).toBe(keyOfPass({ keep: [], maximum: 65504 }))
  })

  test('facts that JSON would lose, or that two stages name, are refused', () => {
    expect(() => canonicalJson({ x: Number.NaN })).toThrow('NaN')
    expect(() => cacheKey({ x: Number.POSITIVE_INFINITY })).toThrow('Infinity')
    expect(() => engineFacts(graph, 'onnxruntime', { model: 'x' })).toThrow('model')
  })

  test('facts may have names that JavaScript treats as special', () => {
    expect(new Set(['__proto__', 'constructor', 'a"b', 'a\nb', ''].map(keyOfInput)).size).toBe(5)
  })
})

describe('difference of two keys', () => {
  const cases: readonly (readonly [Facts, string])[] = [
    [facts, 'nothing changed'],
    [{ ...facts, model: sha('d') }, 'weights changed'],
    [{ ...facts, model: sha('d'), graph: sha('e') }, 'graph changed'],
    [{ ...facts, external: [`w.bin=${sha('d')}`] }, 'external data changed: w.bin'],
    [
      { ...facts, external: [...(facts['external'] as string[]), `v.bin=${sha('d')}`] },
      'external data changed: v.bin added',
    ],
    [{ ...facts, shapes: ['x=1x3x48x640'] }, 'shapes changed: x 1x3x48x320 -> 1x3x48x640'],
    [{ ...facts, shapes: [] }, 'shapes changed: x removed (1x3x48x320)'],
    [{ ...facts, shapes: ['x=1x3x48x320', 'a=b=1'] }, 'shapes changed: a=b added (1)'],
    [
      { ...facts, passes: ['fp16@2={"keep":["/head"]}'] },
      'passes changed: fp16@1 removed ({"keep":["/head"]}); fp16@2 added ({"keep":["/head"]})',
    ],
    [
      { ...facts, passes: ['fp16@1={"keep":["a=b"]}'] },
      'passes changed: fp16@1 {"keep":["/head"]} -> {"keep":["a=b"]}',
    ],
    [{ ...facts, onnxruntime: '1.31.0' }, 'ONNX Runtime 1.30.0 -> 1.31.0'],
    [{ ...facts, model: sha('d'), onnxruntime: '1.31.0' }, 'weights changed, ONNX Runtime 1.30.0 -> 1.31.0'],
    [{ ...facts, bounds: ['x:1..4', 'y:2..2'] }, 'shape bounds changed: y:2..2 added'],
    [{ ...facts, strict: false }, 'strict true -> false'],
    [{ ...facts, driver: '570' }, 'driver none -> 570'],
    [{ ...facts, [`bad\nname${'x'.repeat(200)}`]: 1 }, `bad?name${'x'.repeat(109)}... none -> 1`],
  ]
  test.each(cases.map(([after, words]) => ({ after, words })))('$words', ({ after, words }) => {
    expect(explain(facts, after)).toBe(words)
  })

  test('a list in another order is shown whole', () => {
    expect(explain({ targets: ['sm86', 'sm89'] }, { targets: ['sm89', 'sm86'] })).toBe(
      'targets changed: sm86, sm89 -> sm89, sm86',
    )
  })
})

describe('hashing', () => {
  const folder = tempFolder()
  const file = join(folder, 'bytes')
  const bytes = Buffer.from(Array.from({ length: (2 << 20) + 12_345 }, (_, i) => (i * 31 + (i >> 8)) & 255))
  writeFileSync(file, bytes)

  test.each([
    { segments: [] },
    { segments: [{ offset: 0, length: bytes.length }] },
    {
      segments: [
        { offset: 100, length: 50 },
        { offset: 120, length: 200 },
        { offset: 320, length: 5 },
      ],
    },
    {
      segments: [
        { offset: (1 << 20) - 7, length: 14 },
        { offset: 0, length: 1 },
        { offset: 5, length: 0 },
      ],
    },
    { segments: [{ offset: 10, length: 2 << 20 }] },
    {
      segments: [
        { offset: bytes.length - 3, length: 3 },
        { offset: bytes.length - 3, length: 3 },
      ],
    },
  ])('a hash around the segments $segments is that of the remaining bytes', async ({ segments }) => {
    const left = bytes.filter((_, at) => !segments.some(({ offset, length }) => at >= offset && at < offset + length))
    const rest = join(folder, 'rest')
    writeFileSync(rest, left)
    expect(await hashAround(file, segments)).toEqual({ whole: await hashFile(file), around: await hashFile(rest) })
  })

  test('a hash of ranges covers their offsets and bytes, not how often they are listed', async () => {
    const once = await hashPairs(file, [
      [10, 20],
      [30, 5],
      [100, 1],
    ])
    expect(
      await hashPairs(file, [
        [100, 1],
        [10, 25],
        [10, 20],
      ]),
    ).toBe(once)
    expect(
      await hashPairs(file, [
        [10, 20],
        [30, 5],
        [101, 1],
      ]),
    ).not.toBe(once)
    expect(await hashPairs(file, [[bytes.length - 1, 2]])).toBeUndefined()
    expect(await hashPairs(file, [[bytes.length + 10, 1]])).toBeUndefined()
  })

  test('a hash of ten thousand ranges over the whole file reads it once', async () => {
    const segments = Array.from({ length: 10_000 }, (_, i) => ({ offset: i, length: bytes.length - i }))
    expect(await hashSegments(file, segments)).toBe(await hashSegments(file, [{ offset: 0, length: bytes.length }]))
  })
})

describe('digests of a model', () => {
  test.each([
    ['one byte of the weights', 'model.onnx', 50, 'weights changed'],
    ['one byte of the graph', 'model.onnx', 3, 'graph changed'],
    ['one byte of the external data', 'w.bin', 100, 'external data changed: w.bin'],
  ])('%s changes the key', async (_, name, at, words) => {
    const model = make(join(tempFolder(), 'm'))
    expect(await change(model, () => edit(join(model.file, '..', name), at))).toEqual({ same: false, words })
  })

  test('bytes of the external file that the model does not use change nothing', async () => {
    const model = make(join(tempFolder(), 'm'))
    expect(await change(model, () => edit(model.external[0]!.file, 10))).toEqual({
      same: true,
      words: 'nothing changed',
    })
  })

  test('another name, folder or time of the same bytes changes nothing', async () => {
    const [one, two] = [make(join(tempFolder(), 'm')), make(join(tempFolder(), 'n'), 'renamed.onnx')]
    utimesSync(two.file, 1, 1)
    expect(await digestSource(two, fresh())).toEqual(await digestSource(one, fresh()))
  })

  test('external data that is too short is an error with its name', async () => {
    const model = make(join(tempFolder(), 'm'))
    writeFileSync(model.external[0]!.file, 'x')
    await expect(digestSource(model, fresh())).rejects.toMatchObject({
      code: 'EXTERNAL_DATA',
      message: expect.stringContaining('at least 128 bytes'),
    })
  })

  test('a big model is hashed once, then known by its stat: at most 0.05 of the time of reading it', async () => {
    const [folder, length] = [tempFolder(), 256 << 20]
    const model = make(folder)
    const file = model.external[0]!.file
    truncateSync(file, length)
    const big = { ...model, external: [{ file, offset: 0, length }] }
    const first = await later(() => digestSource(big, openIndex(join(folder, 'index.json'))))
    const again = await digestSource(big, openIndex(join(folder, 'index.json')))
    const seconds = await fastest(() => digestSource(big, openIndex(join(folder, 'index.json'))))
    const reading = await fastest(() => read(file))
    expect(again).toEqual(first)
    expect(seconds / reading).toBeLessThan(0.05)
  })
})

describe('stat index', () => {
  test('a digest is known after reopening, for each computation apart', async () => {
    const { file, index, compute, count } = setUp()
    await later(() => openIndex(index).remember(file, 'a', compute))
    await openIndex(index).remember(file, 'a', compute)
    expect(count()).toBe(1)
    await openIndex(index).remember(file, 'b', compute)
    expect(count()).toBe(2)
  })

  test('a file written in the clock tick in which it was read is hashed again', async () => {
    const { file, index, compute, count } = setUp()
    writeFileSync(file, 'new')
    await openIndex(index).remember(file, 'a', compute)
    await openIndex(index).remember(file, 'a', compute)
    expect(count()).toBe(2)
  })

  test.each([
    [
      'the same size, with the old mtime put back',
      (file: string) => {
        // The clock of a file system has ticks of some milliseconds: until the next one, ctime stays what it was.
        const { ctimeNs } = statSync(file, { bigint: true })
        do {
          writeFileSync(file, 'new')
          age(file)
        } while (statSync(file, { bigint: true }).ctimeNs === ctimeNs)
      },
    ],
    [
      'another file moved over it, with the same size and mtime',
      (file: string) => {
        writeFileSync(`${file}2`, 'new')
        age(`${file}2`)
        renameSync(`${file}2`, file)
      },
    ],
    ['another size', (file: string) => appendFileSync(file, 'er')],
  ])('a file is hashed again after %s', async (_, edit) => {
    const { file, index, compute } = setUp()
    const opened = openIndex(index)
    await later(() => opened.remember(file, 'a', compute))
    edit(file)
    expect(await opened.remember(file, 'a', compute)).toEqual({ text: readFileSync(file, 'utf8') })
  })

  test('two processes that add to it keep what both found, and a damaged one costs only the hashing', async () => {
    const { folder, file, index, compute, count } = setUp()
    const other = join(folder, 'other')
    copyFileSync(file, other)
    const [one, two] = [openIndex(index), openIndex(index)]
    await later(async () => {
      await Promise.all([one.remember(file, 'none', compute), two.remember(file, 'none', compute)])
      await one.remember(file, 'a', compute)
      await two.remember(other, 'a', compute)
    })
    const before = count()
    await openIndex(index).remember(file, 'a', compute)
    await openIndex(index).remember(other, 'a', compute)
    expect(count()).toBe(before)
    writeFileSync(index, readFileSync(index, 'utf8').slice(0, -20))
    expect(await openIndex(index).remember(file, 'a', compute)).toEqual({ text: 'old' })
    expect(count()).toBe(before + 1)
  })

  test('a file that changes while it is read is read again, and refused when it does not stop', async () => {
    const { file, index } = setUp()
    let edits = 0
    const whileEdited = (times: number) => async () => {
      const text = readFileSync(file, 'utf8')
      if (edits++ < times) appendFileSync(file, '.')
      return { text }
    }
    expect(await openIndex(index).remember(file, 'a', whileEdited(1))).toEqual({ text: 'old.' })
    await expect(openIndex(index).remember(file, 'b', whileEdited(99))).rejects.toMatchObject({
      code: 'MODEL_INVALID',
    })
    expect(statSync(file).size).toBeGreaterThan(3)
  })

  test('a folder that cannot be written costs only the hashing', async () => {
    const { file, compute } = setUp()
    expect(await openIndex(join(file, 'index.json')).remember(file, 'a', compute)).toEqual({ text: 'old' })
  })
})

function keyOfPass(options: Readonly<Record<string, Json>>): string {
  return cacheKey(graphFacts(source, { passes: [{ name: 'fp16', version: 1, options }], shapes: {} })).digest
}

function keyOfInput(name: string): string {
  return cacheKey(graphFacts(source, { passes: [], shapes: JSON.parse(`{${JSON.stringify(name)}:[1]}`) })).digest
}

function hashPairs(file: string, pairs: readonly (readonly [number, number])[]): Promise<string | undefined> {
  return hashSegments(
    file,
    pairs.map(([offset, length]) => ({ offset, length })),
  )
}

function make(folder: string, name = 'model.onnx'): Pick<ModelWithInitializers, 'file' | 'external' | 'initializers'> {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, name)
  writeFileSync(file, `graph${'w'.repeat(100)}more graph`)
  writeFileSync(join(folder, 'w.bin'), 'x'.repeat(64) + 'y'.repeat(64))
  const range = { file, offset: 5, length: 100 }
  const external = [{ file: join(folder, 'w.bin'), offset: 64, length: 64 }]
  return { file, external, initializers: [{ name: 'w', dtype: 'float32' as const, dims: [25], range }] }
}

function edit(file: string, at: number): void {
  const bytes = readFileSync(file)
  bytes[at]!++
  writeFileSync(file, bytes)
}

function fresh(): StatIndex {
  return { remember: async (_file, _what, compute) => compute() }
}

function age(file: string): void {
  utimesSync(file, new Date(1_700_000_000_123), new Date(1_700_000_000_123))
}

async function change(model: ReturnType<typeof make>, edited: () => void): Promise<{ same: boolean; words: string }> {
  const before = sourceFacts(await digestSource(model, fresh()))
  edited()
  const after = sourceFacts(await digestSource(model, fresh()))
  return { same: cacheKey(before).digest === cacheKey(after).digest, words: explain(before, after) }
}

function setUp() {
  const folder = tempFolder()
  const file = join(folder, 'file')
  const index = join(folder, 'deep', 'index.json')
  writeFileSync(file, 'old')
  age(file)
  let computed = 0
  const compute = async () => {
    computed++
    return { text: readFileSync(file, 'utf8') }
  }
  return { folder, file, index, compute, count: () => computed }
}

// A young file is not trusted, and nobody can set its ctime: the clock is turned instead.
async function later<T>(use: () => Promise<T>): Promise<T> {
  const now = Date.now
  Date.now = () => now() + 10_000
  return use().finally(() => (Date.now = now))
}

/** Seconds of the fastest of five runs: other processes want the machine as well. */
async function fastest(run: () => Promise<unknown>): Promise<number> {
  let best = Infinity
  for (let i = 0; i < 5; i++) {
    const started = performance.now()
    await run()
    best = Math.min(best, (performance.now() - started) / 1000)
  }
  return best
}

async function read(file: string): Promise<void> {
  const handle = await open(file)
  const buffer = Buffer.allocUnsafe(1 << 20)
  while ((await handle.read(buffer, 0, buffer.length)).bytesRead > 0);
  await handle.close()
}

/** A stat index that goes by the clock of this process, which tests turn. */
function openIndex(file: string): StatIndex {
  return openStatIndex(file, () => Date.now())
}

import { writeFileSync, readFileSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import ort from 'onnxruntime-node'
import { describe, test, expect } from 'vitest'
import { newAttribute, intAttribute, setAttribute } from '../../plugin/onnx/attribute.ts'
import type { Content } from '../../plugin/onnx/bytes.ts'
import { tensorContent, setContent, viewElements, tensorElements } from '../../plugin/onnx/content.ts'
import { nameMaker, newNode, renameReads, sortNodes, redeclare } from '../../plugin/onnx/edit.ts'
import { loadGraph, scopesOf, indexScope, reads } from '../../plugin/onnx/graph.ts'
import { readModel } from '../../plugin/onnx/model.ts'
import { declaredType } from '../../plugin/onnx/types.ts'
import { writeGraph } from '../../plugin/onnx/write.ts'
import { loadCorpus } from '../corpus/index.ts'
import { tempFolder } from '../support/helpers.ts'
import { wireField, encode, onnxModel, affineModel, sparseModel } from '../support/models.ts'
import { orSkip } from '../support/python.ts'

const folder = tempFolder()

let files = 0

const fresh = (): string => join(folder, `model${files++}.onnx`)

function saved(bytes: Uint8Array): string {
  const file = fresh()
  writeFileSync(file, bytes)
  return file
}

const unknown = (text: string): Uint8Array => wireField(999, Buffer.from(text))

const branch = (op: string) => ({
  graph: { outputs: { z: 'float32[2]' }, nodes: [{ op, inputs: ['early'], outputs: ['z'] }] },
})

async function rewritten(file: string): Promise<string> {
  const out = fresh()
  await writeGraph(await loadGraph(file), out)
  return out
}

const corpus = await orSkip('rewriting the test models of the ONNX library', loadCorpus)

describe('unchanged model', () => {
  test.skipIf(!corpus)('every test model of the ONNX library is written byte for byte as it was', async () => {
    const differences: string[] = []
    const rest = corpus!.records.values()
    const lane = async (): Promise<void> => {
      const out = fresh()
      for (const record of rest) {
        const file = corpus!.file(record)
        await writeGraph(await loadGraph(file), out)
        if (!readFileSync(file).equals(readFileSync(out))) differences.push(record.name)
      }
    }
    await Promise.all(Array.from({ length: 8 }, lane))
    expect(differences).toEqual([])
  })

  test('unknown fields are kept at every level, next to weights that stay on disk', async () => {
    const big = unknown('x'.repeat(5000))
    const tensor = Buffer.concat([
      encode('TensorProto', { dims: [1000], dataType: 1, name: 'w', rawData: new Uint8Array(4000).fill(7) }),
      unknown('tensor'),
    ])
    const node = Buffer.concat([
      encode('NodeProto', { input: ['x', 'w'], output: ['y'], opType: 'Frobnicate', domain: 'com.example' }),
      unknown('node'),
    ])
    const graph = Buffer.concat([
      wireField(1, node),
      wireField(5, tensor),
      encode('GraphProto', { input: [{ name: 'x' }] }),
      big,
    ])
    const model = Buffer.concat([
      encode('ModelProto', { irVersion: 8 }),
      wireField(7, graph),
      encode('ModelProto', {
        opsetImport: [{ version: 17 }],
        metadataProps: [{ key: 'author', value: 'me' }],
        functions: [{ name: 'f', domain: 'com.example' }],
      }),
      unknown('model'),
    ])
    expect(readFileSync(await rewritten(saved(model))).equals(model)).toBe(true)
  })

  test('external data stays outside, each tensor once, and the results are the same', async () => {
    const weights = new Float32Array(20_000).map((_, index) => Math.sin(index))
    writeFileSync(join(folder, 'shared.bin'), new Uint8Array(weights.buffer))
    const external = { location: 'shared.bin', offset: 0, length: weights.byteLength }
    const tensor = { dtype: 'float32', dims: [20_000], data: [], external } as const
    const nodes = [
      { op: 'Mul', inputs: ['x', 'a'], outputs: ['xa'] },
      { op: 'Constant', inputs: [], outputs: ['c'], attributes: { value: { tensor } } },
      { op: 'Add', inputs: ['xa', 'b'], outputs: ['xab'] },
      { op: 'Add', inputs: ['xab', 'c'], outputs: ['y'] },
    ]
    const file = saved(
      onnxModel({
        inputs: { x: 'float32[1]' },
        outputs: { y: 'float32[20000]' },
        nodes,
        initializers: { a: tensor, b: tensor },
      }),
    )
    const out = await rewritten(file)
    expect(statSync(`${out}.data`).size).toBe(weights.byteLength)
    expect((await readModel(out)).external).toHaveLength(3)
    expect(await run(out, { x: new ort.Tensor('float32', [3], [1]) })).toEqual(
      await run(file, { x: new ort.Tensor('float32', [3], [1]) }),
    )
  })

  test('weights move outside when the file would be longer than protobuf allows', async () => {
    const data = new Float32Array(1000).map((_, index) => index)
    const initializers = { w: { dtype: 'float32', dims: [1000], data: new Uint8Array(data.buffer) } } as const
    const nodes = [{ op: 'Mul', inputs: ['x', 'w'], outputs: ['y'] }]
    const file = saved(onnxModel({ inputs: { x: 'float32[1]' }, outputs: { y: 'float32[1000]' }, nodes, initializers }))
    const out = fresh()
    await writeGraph(await loadGraph(file), out, 4000)
    expect([statSync(out).size < 1000, statSync(`${out}.data`).size]).toEqual([true, 4000])
    expect((await run(out, { x: new ort.Tensor('float32', [2], [1]) }))['y']?.slice(0, 3)).toEqual([0, 2, 4])
  })
})

describe('changed model', () => {
  test('new nodes are put where they belong, also when readers are in bodies', async () => {
    const model = await loadGraph(
      saved(
        onnxModel({
          inputs: { x: 'float32[2]', flag: 'bool[]' },
          outputs: { y: 'float32[2]' },
          nodes: [
            { op: 'Abs', inputs: ['x'], outputs: ['early'] },
            {
              op: 'If',
              inputs: ['flag'],
              outputs: ['y'],
              attributes: { then_branch: branch('Neg'), else_branch: branch('Sqrt') },
            },
          ],
        }),
      ),
    )
    const [main, thenScope] = scopesOf(model)
    expect(scopesOf(model).map(({ owner }) => owner?.opType)).toEqual([undefined, 'If', 'If'])
    const index = indexScope(main!)
    expect(index.consumers.get('early')?.map(({ opType }) => opType)).toEqual(['If'])
    const name = nameMaker(model)
    expect([name('z'), name('z'), name('new')]).toEqual(['z_1', 'z_2', 'new'])
    main!.graph.node.push(newNode('Exp', ['early'], [name('late')], { name: name('exponent') }))
    renameReads(main!, new Map([['early', 'late']]), ({ opType }) => opType === 'If')
    sortNodes(main!, 'test')
    expect(main!.graph.node.map(({ opType }) => opType)).toEqual(['Abs', 'Exp', 'If'])
    expect(thenScope!.graph.node[0]?.input).toEqual(['late'])
    const out = fresh()
    await writeGraph(model, out)
    const feeds = { x: new ort.Tensor('float32', [0, 0], [2]), flag: new ort.Tensor('bool', [true], []) }
    expect(await run(out, feeds)).toEqual({ y: [-1, -1] })
  })

  test('a long chain of nodes in reverse order is sorted, a cycle is refused by name', async () => {
    const nodes = Array.from({ length: 20_000 }, (_, index) => ({
      op: 'Neg',
      inputs: [index === 0 ? 'x' : `v${index - 1}`],
      outputs: [`v${index}`],
      name: `n${index}`,
    }))
    const spec = { inputs: { x: 'float32[1]' }, outputs: { v9999: 'float32[1]' } }
    const model = await loadGraph(saved(onnxModel({ ...spec, nodes: nodes.toReversed() })))
    sortNodes({ graph: model.proto.graph }, 'test')
    expect(model.proto.graph.node.map(({ name }) => name)).toEqual(nodes.map(({ name }) => name))
    model.proto.graph.node[0]!.input = ['v5']
    expect(() => sortNodes({ graph: model.proto.graph }, 'model.onnx')).toThrow(
      /model\.onnx, node "n0" \(Neg\): expected a graph without cycles/,
    )
  })

  test('weights are replaced by content that is made while it is written', async () => {
    const file = saved(affineModel({ weight: 3, bias: 1 }))
    const model = await loadGraph(file)
    const { constants } = indexScope({ graph: model.proto.graph })
    const tensor = constants.get('weight')!
    const content = tensorContent(model, tensor)!
    setContent(
      model,
      tensor,
      { dtype: 'float32', dims: [1] },
      mapContent(content, content.length, (piece) => {
        const doubled = (viewElements('float32', piece) as Float32Array).map((value) => 2 * value)
        return new Uint8Array(doubled.buffer)
      }),
    )
    const out = fresh()
    await writeGraph(model, out)
    expect(await run(out, { x: new ort.Tensor('float32', [1, 2, 3, 4], [1, 4]) })).toEqual({ y: [7, 13, 19, 25] })
  })

  test('weights are never all in memory', async () => {
    const file = join(folder, 'large.onnx')
    const [count, length] = [2, 2 ** 26]
    sparseModel(file, count, length)
    const model = await loadGraph(file)
    const before = process.memoryUsage().arrayBuffers
    let most = 0
    for (const tensor of model.proto.graph.initializer) {
      const content = mapContent(tensorContent(model, tensor)!, length, (piece) => {
        most = Math.max(most, process.memoryUsage().arrayBuffers - before)
        return piece
      })
      setContent(model, tensor, { dtype: 'int8', dims: [length] }, content)
    }
    const out = fresh()
    await writeGraph(model, out)
    expect(statSync(out).size).toBeGreaterThan(count * length)
    expect(most).toBeLessThan(length / 4)
    truncateSync(file)
    truncateSync(out)
  })

  test('declared dtypes follow a change', async () => {
    const model = await loadGraph(saved(affineModel()))
    const scope = { graph: model.proto.graph }
    redeclare(
      scope,
      new Map([
        ['y', 'float16'],
        ['scaled', 'float16'],
      ]),
    )
    expect([...scope.graph.input, ...scope.graph.output].map(({ type }) => declaredType(type))).toEqual([
      'float32',
      'float16',
    ])
  })

  test('attributes are read and set', () => {
    const node = newNode('Softmax', ['x'], ['y'], { attribute: [newAttribute('axis', { int: -1 })] })
    expect(intAttribute(node, 'axis')).toBe(-1)
    setAttribute(node, newAttribute('axis', { int: 2 }))
    expect([intAttribute(node, 'axis'), intAttribute(node, 'other'), node.attribute.length]).toEqual([2, undefined, 1])
    expect(reads(node)).toEqual(new Set(['x']))
  })
})

describe('elements of a tensor', () => {
  test.each([
    ['float32', { dataType: 1, floatData: [1.5, -2] }, [1.5, -2]],
    ['float64', { dataType: 11, doubleData: [1.5, -2] }, [1.5, -2]],
    ['int64', { dataType: 7, int64Data: [-5, { low: 0, high: 2 ** 30, unsigned: false }] }, [-5n, 2n ** 62n]],
    ['uint64', { dataType: 13, uint64Data: [{ low: -1, high: -1, unsigned: true }, 1] }, [2n ** 64n - 1n, 1n]],
    ['uint32', { dataType: 12, uint64Data: [4_294_967_295, 1] }, [4_294_967_295, 1]],
    ['int32', { dataType: 6, int32Data: [-1, 7] }, [-1, 7]],
    ['int8', { dataType: 3, int32Data: [-1, 7] }, [-1, 7]],
    ['bool', { dataType: 9, int32Data: [1, 0] }, [1, 0]],
    ['float16', { dataType: 10, int32Data: [0x3c00, 0xbc00] }, [0x3c00, 0xbc00]],
    ['raw int16', { dataType: 5, rawData: new Uint8Array([1, 0, 255, 255]) }, [1, -1]],
  ])('elements are the same from any storage: %s', async (_, fields, expected) => {
    for (const repeat of [1, 1000]) {
      const long = Object.fromEntries(
        Object.entries(fields).map(([key, value]) => [
          key,
          typeof value === 'number' ? value : repeated(value, repeat),
        ]),
      )
      const model = await loadGraph(
        saved(
          encode('ModelProto', {
            irVersion: 8,
            opsetImport: [{ version: 17 }],
            graph: { initializer: [{ name: 'w', dims: [2 * repeat], ...long }] },
          }),
        ),
      )
      const elements = await tensorElements(model, model.proto.graph.initializer[0]!)
      expect([...(elements ?? [])].slice(-2)).toEqual(expected)
      expect(elements).toHaveLength(2 * repeat)
    }
  })

  test('a list that does not fit its dims is refused by name', async () => {
    const tensor = { name: 'w', dims: [3], dataType: 1, floatData: [1, 2] }
    const model = await loadGraph(
      saved(encode('ModelProto', { irVersion: 8, opsetImport: [{ version: 17 }], graph: { initializer: [tensor] } })),
    )
    await expect(tensorElements(model, model.proto.graph.initializer[0]!)).rejects.toThrow(
      /tensor "w": expected 12 bytes.*received 8/,
    )
  })
})

function repeated(value: Uint8Array | readonly unknown[], count: number): unknown {
  return value instanceof Uint8Array
    ? Buffer.concat(Array.from({ length: count }, () => value))
    : Array.from({ length: count }, () => value).flat()
}

async function run(file: string, feeds: Record<string, ort.Tensor>): Promise<Record<string, number[]>> {
  const session = await ort.InferenceSession.create(file)
  const results = await session.run(feeds)
  return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, Array.from(data as Float32Array)]))
}

/** A content whose pieces are converted; `length` is that of the result. */
function mapContent(content: Content, length: number, convert: (piece: Uint8Array) => Uint8Array): Content {
  return {
    length,
    async *pieces() {
      for await (const piece of content.pieces()) yield convert(piece)
    },
  }
}

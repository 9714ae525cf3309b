import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadGraph } from '../../plugin/onnx/graph.ts'
import { readModel } from '../../plugin/onnx/model.ts'
import { inferTypes } from '../../plugin/onnx/types.ts'
import { lowerGraph } from '../../plugin/precision/half/lower-graph.ts'
import { storeGraph } from '../../plugin/precision/half/store-weights.ts'
import { tempFolder } from '../support/helpers.ts'
import { encode, onnxModel, wireField } from '../support/models.ts'

const folder = tempFolder()

/** A model whose graph has so many copies of a field. */
function repeated(field: readonly number[], count: number): string {
  const file = join(folder, 'model.onnx')
  const graph = Buffer.alloc(field.length * count, Buffer.from(field))
  const head = encode('ModelProto', { irVersion: 8, opsetImport: [{ domain: '', version: 17 }] })
  writeFileSync(file, Buffer.concat([head, wireField(7, graph)]))
  return file
}

describe('a model that would take too much memory is refused before it is decoded', () => {
  test.each<[what: string, field: readonly number[], count: number]>([
    ['empty initializers', [0x2a, 0], 4_000_000],
    ['empty nodes', [0x0a, 0], 4_000_000],
    ['unknown fields', [0xc0, 0x3e, 1], 8_000_000],
  ])('%s', async (_, field, count) => {
    await expect(readModel(repeated(field, count))).rejects.toMatchObject({
      code: 'MODEL_UNSUPPORTED',
      message: expect.stringMatching(/received a structure that takes more than .* of memory.*--max-old-space-size/),
    })
  })
})

describe('names that objects inherit', () => {
  test.each(['constructor', 'toString', '__proto__', 'hasOwnProperty'])(
    'an operator called %s is one that nobody knows',
    async (op) => {
      const file = join(folder, 'named.onnx')
      const dims = 'float32[2,2]'
      writeFileSync(
        file,
        onnxModel({
          inputs: { x: dims },
          outputs: { y: dims },
          nodes: [
            { op: 'Relu', inputs: ['x'], outputs: ['r'], name: op },
            { op, inputs: ['r'], outputs: ['y'], attributes: { [op]: { graph: { outputs: { z: dims }, nodes: [] } } } },
          ],
        }),
      )
      const graph = await loadGraph(file)
      expect(() => inferTypes(graph)).not.toThrow()
      const lowered = await lowerGraph(graph, {
        dtype: 'float16',
        maxValue: 4096,
        maxDepth: Infinity,
        pinned: new Set(),
      })
      expect(lowered.kept.map(({ operator }) => operator)).toContain(op)
      await expect(storeGraph(await loadGraph(file), 'float16', new Set())).resolves.toBeDefined()
    },
  )
})

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { loadGraph, nodeName } from '../../plugin/onnx/graph.ts'
import { inferTypes } from '../../plugin/onnx/types.ts'
import { preciseNodes } from '../../plugin/precision/half/precise-values.ts'
import { tempFolder } from '../support/helpers.ts'
import { type ModelSpec, onnxModel, scalar, type TensorSpec } from '../support/models.ts'

const folder = tempFolder()

const line = (length: number, at: (index: number) => number): TensorSpec => ({
  dtype: 'float32',
  dims: [length],
  data: Array.from({ length }, (_, index) => at(index)),
})

const node = (op: string, inputs: string[], output: string, attributes = {}) => ({
  op,
  name: output,
  inputs,
  outputs: [output],
  attributes,
})

const cases: readonly (Pick<ModelSpec, 'nodes' | 'initializers'> & { kind: string; input: string; kept: string[] })[] =
  [
    {
      kind: 'sine and cosine of positions times frequencies',
      input: 'int64[4,1]',
      nodes: [
        node('Cast', ['x'], 'f', { to: 1 }),
        node('Mul', ['f', 'freq'], 'angle'),
        node('Sin', ['angle'], 's'),
        node('Relu', ['s'], 'y'),
      ],
      initializers: { freq: line(32, (index) => 10_000 ** (-index / 32)) },
      kept: ['angle', 's'],
    },
    {
      kind: 'the logarithm of a softmax, across a small sum',
      input: 'float32[2,8]',
      nodes: [
        node('Relu', ['x'], 'r'),
        node('Softmax', ['r'], 'p'),
        node('Add', ['p', 'epsilon'], 'a'),
        node('Log', ['a'], 'y'),
      ],
      initializers: { epsilon: scalar(1e-12) },
      kept: ['p', 'a', 'y'],
    },
    {
      kind: 'the logarithm of a sum of squares, which is not near zero',
      input: 'float32[2,8]',
      nodes: [node('Relu', ['x'], 'r'), node('Add', ['r', 'one'], 'a'), node('Log', ['a'], 'y')],
      initializers: { one: scalar(1) },
      kept: [],
    },
    {
      kind: 'the difference of times in a table of more steps than 11 bits count',
      input: 'int64[4]',
      nodes: [node('Gather', ['times', 'x'], 't'), node('Sub', ['t', 'start'], 'd'), node('Relu', ['d'], 'y')],
      initializers: { times: line(4096, (index) => 500 + index * 0.02), start: scalar(540) },
      kept: ['t', 'd'],
    },
    {
      kind: 'a table whose steps 16 bits can tell apart',
      input: 'int64[4]',
      nodes: [node('Gather', ['times', 'x'], 't'), node('Sub', ['t', 'start'], 'y')],
      initializers: { times: line(64, (index) => index), start: scalar(3) },
      kept: [],
    },
    {
      kind: 'a sine as an activation behind a convolution of values',
      input: 'float32[2,8]',
      nodes: [node('MatMul', ['x', 'w'], 'm'), node('Sin', ['m'], 's'), node('Relu', ['s'], 'y')],
      initializers: { w: { dtype: 'float32', dims: [8, 8], data: Array.from({ length: 64 }, (_, i) => i / 64) } },
      kept: ['s'],
    },
    {
      kind: 'a mask times a constant, which needs no digits',
      input: 'int64[4]',
      nodes: [node('Cast', ['x'], 'f', { to: 1 }), node('Mul', ['f', 'large'], 'y')],
      initializers: { large: scalar(-10_000) },
      kept: [],
    },
  ]

test.each(cases)('$kind: $kept stay in fp32', async ({ input, nodes, initializers, kept }) => {
  const file = join(folder, 'model.onnx')
  const spec = { inputs: { x: input }, outputs: { y: 'float32' }, nodes, ...(initializers && { initializers }) }
  writeFileSync(file, onnxModel(spec))
  const model = await loadGraph(file)
  const found = await preciseNodes(model, { graph: model.proto.graph }, inferTypes(model), 'float16')
  expect([...found.keys()].map(nodeName).sort()).toEqual([...kept].sort())
})

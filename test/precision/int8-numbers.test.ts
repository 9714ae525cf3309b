import { describe, expect, test } from 'vitest'
import { bytesContent, readContent } from '../../plugin/onnx/bytes.ts'
import { newNode } from '../../plugin/onnx/edit.ts'
import { newMessage } from '../../plugin/onnx/proto.ts'
import {
  channelsAlong,
  int8Content,
  largestOf,
  roundEven,
  scaledContent,
} from '../../plugin/precision/int8/channels.ts'
import { scaleOf } from '../../plugin/precision/int8/scales.ts'
import { shareScales } from '../../plugin/precision/int8/share-scales.ts'

describe('the scale of a range', () => {
  test.each<[range: readonly [number, number], activations: 'int8' | 'uint8', scale: number, zero: number]>([
    [[0, 255], 'uint8', 1, 0],
    [[-128, 127], 'uint8', 1, 128],
    [[-255, 0], 'uint8', 1, 255],
    // Zero is in every range.
    [[51, 255], 'uint8', 1, 0],
    [[-255, -51], 'uint8', 1, 255],
    [[-127, 10], 'int8', 1, 0],
    [[10, 254], 'int8', 2, 0],
    // A value that is always 0 has a scale that can divide.
    [[0, 0], 'uint8', 2 ** -100, 0],
    [[0, 0], 'int8', 2 ** -100, 0],
  ])('%j as %s is %d with zero point %i', (range, activations, scale, zero) => {
    expect(scaleOf(range, activations)).toEqual({ scale, zero })
  })
})

test.each([
  [0.5, 0],
  [1.5, 2],
  [2.5, 2],
  [-0.5, -0],
  [-1.5, -2],
  [-2.5, -2],
  [2.500001, 3],
  [3, 3],
])('%d rounds to %d, ties to even', (value, rounded) => {
  expect(roundEven(value)).toBe(rounded)
})

describe('the channels of a tensor', () => {
  // [2,3,2]: channel c of axis 1 holds the elements 2c and 2c + 1 of each half.
  const values = Float32Array.of(1, -2, 3, -4, 5, -6, 7, -8, 9, -10, 11, NaN)
  const content = bytesContent(new Uint8Array(values.buffer))

  test.each<[axis: number, largest: readonly number[]]>([
    [0, [6, NaN]],
    [1, [8, 10, NaN]],
    [2, [11, NaN]],
  ])('along axis %i have the largest magnitudes %j', async (axis, largest) => {
    expect([...(await largestOf(content, channelsAlong([2, 3, 2], axis)))]).toEqual(largest)
  })

  test('are multiplied by a factor each', async () => {
    const scaled = scaledContent(content, channelsAlong([2, 3, 2], 1), Float64Array.of(1, 10, 100))
    const { buffer } = await readContent(scaled)
    expect([...new Float32Array(buffer)]).toEqual([1, -2, 30, -40, 500, -600, 7, -8, 90, -100, 1100, NaN])
  })

  test('are rounded to int8 by a scale each, and clamped to 127 on both sides', async () => {
    const finite = bytesContent(new Uint8Array(Float32Array.of(0.5, 1.5, 200, -200, 10, -15).buffer))
    const stored = int8Content(finite, channelsAlong([3, 2], 0), Float32Array.of(1, 1, 10))
    expect([...new Int8Array((await readContent(stored)).buffer)]).toEqual([0, 2, 127, -127, 1, -2])
  })
})

function shared(
  nodes: readonly (readonly [op: string, inputs: string[], output: string])[],
  quantized: string[],
): [string, readonly string[]][] {
  const node = nodes.map(([op, inputs, output]) => newNode(op, inputs, [output]))
  return [...shareScales({ graph: newMessage('GraphProto', { node }) }, ['Concat', 'Reshape'], new Set(quantized))]
}

describe('values that share a scale', () => {
  test('are the quantized inputs and the result of an operator that moves values', () => {
    expect(shared([['Concat', ['a', 'b', 'c'], 'd']], ['a', 'b', 'd'])).toEqual([['a', ['a', 'b', 'd']]])
  })

  test.each<[title: string, op: string, quantized: string[]]>([
    ['an operator that computes', 'Add', ['a', 'b', 'd']],
    ['a result that is not quantized', 'Concat', ['a', 'b']],
    ['a result without a quantized input', 'Concat', ['d']],
  ])('do not come from %s', (_, op, quantized) => {
    expect(shared([[op, ['a', 'b'], 'd']], quantized)).toEqual([])
  })

  test('of operators in a row are one group', () => {
    const nodes = [
      ['Concat', ['a', 'b'], 'c'],
      ['Reshape', ['x'], 'y'],
      ['Concat', ['c', 'y'], 'z'],
    ] as const
    const groups = shared(
      nodes.map(([op, inputs, output]) => [op, [...inputs], output] as const),
      ['a', 'b', 'c', 'x', 'y', 'z'],
    )
    expect(groups.map(([, group]) => [...group].sort())).toEqual([['a', 'b', 'c', 'x', 'y', 'z']])
  })
})

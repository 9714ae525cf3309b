import { describe, expect, test } from 'vitest'
import { checkIo, engineBindings, fixBindings, fixesDims } from '../../plugin/options/engine-bindings.ts'
import { compileOptions, resolveOptions } from '../../plugin/options/resolve.ts'
import type { Options, Shapes } from '../../plugin/options/types.ts'
import type { Binding, Dim } from '../../runtime/manifest.ts'

const binding = (name: string, dims: readonly Dim[] | null, dtype: Binding['dtype'] = 'float32'): Binding => ({
  name,
  dtype,
  dims,
})
const model = {
  inputs: [binding('image', ['batch', 3, 'height', null]), binding('mask', ['batch', 'height'], 'bool')],
  outputs: [binding('scores', ['batch', 'classes'])],
}

describe('fixed shapes', () => {
  test.each<[title: string, shapes: Shapes, dims: readonly (readonly Dim[])[]]>([
    [
      'nothing',
      {},
      [
        ['batch', 3, 'height', null],
        ['batch', 'height'],
        ['batch', 'classes'],
      ],
    ],
    [
      'an input, and its named dims everywhere',
      { image: [2, 3, 64, 48] },
      [
        [2, 3, 64, 48],
        [2, 64],
        [2, 'classes'],
      ],
    ],
    [
      'a smaller input only',
      { mask: [2, 64] },
      [
        [2, 3, 64, null],
        [2, 64],
        [2, 'classes'],
      ],
    ],
  ])('fix %s', (_, shapes, dims) => {
    const { inputs, outputs } = fixBindings(model, shapes)
    expect([...inputs, ...outputs].map((value) => value.dims)).toEqual(dims)
  })

  test.each<[dims: readonly Dim[] | null, shapes: Shapes, fixes: boolean]>([
    [[1, 3], { x: [1, 3] }, false],
    [['n', 3], { x: [1, 3] }, true],
    [[null, 3], { x: [1, 3] }, true],
    [null, { x: [1, 3] }, true],
    [['n', 3], {}, false],
    [['n', 3], { y: [1, 3] }, false],
  ])('of an input %j with shapes %j fix an open dim: %s', (dims, shapes, fixes) => {
    expect(fixesDims([binding('x', dims)], shapes)).toBe(fixes)
  })
})

test.each([
  ['fp32', 'float32'],
  ['fp16', 'float16'],
  ['bf16', 'bfloat16'],
] as const)('io=%s gives float32 bindings the dtype %s and leaves the others', (io, dtype) => {
  const { inputs, outputs } = engineBindings(model, { shapes: {}, io })
  expect([...inputs, ...outputs].map((value) => value.dtype)).toEqual([dtype, 'bool', dtype])
})

test.each<[engine: NonNullable<Options['engine']>, io: 'fp32' | 'fp16' | 'bf16', accepted: boolean]>([
  ['fp32', 'fp32', true],
  ['fp16', 'fp16', true],
  ['int8', 'fp32', true],
  ['fp32', 'fp16', false],
  ['fp16', 'bf16', false],
  ['int8', 'fp16', false],
])('engine=%s with io=%s is accepted: %s', (engine, io, accepted) => {
  const options = compileOptions(resolveOptions({ engine, precision: { io } }), { file: 'm.onnx', query: {} })
  let refused: unknown
  try {
    checkIo(options, 'm')
  } catch (error) {
    refused = error
  }
  const refusal = expect.objectContaining({ code: 'PRECISION_UNSUPPORTED', received: `engine=${engine}` })
  expect(refused).toEqual(accepted ? undefined : refusal)
})

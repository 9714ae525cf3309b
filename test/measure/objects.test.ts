import { describe, expect, test } from 'vitest'
import { finish, newComparison } from '../../plugin/measure/compare.ts'
import { addObjects, noObjects, sharedObjects } from '../../plugin/measure/objects.ts'
import { problemOf } from '../../plugin/verify/limits.ts'

type Found = readonly (readonly [box: readonly number[], score: number, label?: number])[]

const outputs = { boxes: 'b', scores: 's', labels: 'l' }

function tensors(found: Found) {
  const dims = [found.length]
  return new Map([
    ['b', { dtype: 'float32', dims: [...dims, 4], data: Float32Array.from(found.flatMap(([box]) => box)) }],
    ['s', { dtype: 'float32', dims, data: Float32Array.from(found.map(([, score]) => score)) }],
    ['l', { dtype: 'int64', dims, data: BigInt64Array.from(found.map(([, , label = 1]) => BigInt(label))) }],
  ] as const)
}

describe('objects that a detector finds', () => {
  const left = [[0, 0, 10, 10], 0.9] as const
  const right = [[20, 0, 30, 10], 0.8] as const
  const moved = [[1, 0, 11, 10], 0.9] as const
  const guess = [[50, 50, 60, 60], 0.1] as const
  test.each<[string, Found, Found, [expected: number, received: number, matched: number]]>([
    ['the same', [left, right], [left, right], [2, 2, 2]],
    ['in another order', [left, right], [right, left], [2, 2, 2]],
    ['moved a little', [left], [moved], [1, 1, 1]],
    ['somewhere else', [left], [right], [1, 1, 0]],
    ['one missing', [left, right], [left], [2, 1, 1]],
    ['one more', [left], [left, right], [1, 2, 1]],
    ['of another kind', [left], [[...left, 2]], [1, 1, 0]],
    ['guesses do not count', [left, guess], [left], [1, 1, 1]],
    ['a score just below the threshold counts', [[[0, 0, 9, 9], 0.3]], [[[0, 0, 9, 9], 0.27]], [1, 1, 1]],
    ['one box is not two objects', [left, moved], [left], [2, 1, 1]],
    ['none', [], [], [0, 0, 0]],
    ['corners the other way round', [left], [[[10, 10, 0, 0], 0.9]], [1, 1, 1]],
  ])('%s', (_, wanted, given, [expected, received, matched]) => {
    expect(addObjects(noObjects, outputs, tensors(wanted), tensors(given))).toEqual({ expected, received, matched })
  })

  test('are judged by the share that both found', () => {
    expect(sharedObjects(noObjects)).toBe(1)
    const objects = { expected: 10, received: 10, matched: 8 }
    const output = { ...finish(newComparison('b', { atol: null, rtol: null })), objects }
    const threshold = { precision: 'int8', argmax: 0 } as const
    expect(problemOf(output, { ...threshold, objects: 0.9 })).toBe(
      'is of 10 objects, 8 of them among the 10 of the fp32 model',
    )
    expect(problemOf(output, { ...threshold, objects: 0.8 })).toBeUndefined()
  })
})

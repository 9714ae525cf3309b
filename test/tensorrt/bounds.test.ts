import { describe, expect, test } from 'vitest'
import { checkProfiles } from '../../runtime/tensorrt/bounds.ts'

describe('inputs of a TensorRT engine', () => {
  const ports = [
    { name: 'x', dtype: 'float32', input: true, dims: [-1, 4] },
    { name: 'shape', dtype: 'int64', input: true, dims: [2] },
  ]
  const profiles = [
    { min: [[1, 4], [2]], max: [[8, 4], [2]], minValues: [[], [1, 4]], maxValues: [[], [8, 4]] },
    { min: [[9, 4], [2]], max: [[16, 4], [2]], minValues: [[], [1, 4]], maxValues: [[], [16, 4]] },
  ]
  const refuse = (n: number, ...shape: readonly number[]) =>
    checkProfiles(
      { profiles, ports },
      [
        { bytes: new Uint8Array(n * 16), dims: [n, 4] },
        { bytes: new Uint8Array(BigInt64Array.from(shape, BigInt).buffer), dims: [2] },
      ],
      'model',
    )

  test.each([
    [1, 1, 4],
    [8, 8, 4],
    [9, 16, 4],
  ])('inputs of %i rows with the values %i and %i fit a profile', (n, ...shape) => {
    expect(refuse(n, ...shape)).toBeUndefined()
  })

  test.each([
    [17, 1, 4],
    [8, 9, 4],
    [9, 17, 4],
    [1, 1, -1],
  ])('inputs of %i rows with the values %i and %i fit no profile, and the error says what would', (n, ...shape) => {
    expect(() => refuse(n, ...shape)).toThrow(
      expect.objectContaining({
        code: 'INPUT_INVALID',
        message:
          'model, inputs: expected what fits an optimization profile: x [1..8,4] with shape [2] with ' +
          `values [1..8,4], or x [9..16,4] with shape [2] with values [1..16,4], received x [${n},4] ` +
          `with shape [2] with values [${shape.join(',')}]`,
      }),
    )
  })
})

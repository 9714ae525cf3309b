import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parseNpy } from '../../plugin/samples/npy.ts'
import { npy } from '../support/samples.ts'

test.each([
  ['<f2', Uint16Array.of(1, 2), 'float16'],
  ['|u1', Uint8Array.of(1, 2), 'uint8'],
  ['|b1', Uint8Array.of(1, 0), 'bool'],
  ['<i8', BigInt64Array.of(1n, 2n), 'int64'],
] as const)('a .npy file of %s is read', (descr, data, dtype) => {
  expect(parseNpy(npy([2], data, descr))).toEqual({ dtype, dims: [2], data })
})

test.each([
  [npy([2], Float32Array.of(1, 2), '>f4'), 'elements of type >f4'],
  [npy([2], Float32Array.of(1, 2), '<f4', true), 'Fortran order'],
  [readFileSync(import.meta.filename), 'not a .npy file'],
])('a .npy file that cannot be an input is refused', (bytes, message) => {
  expect(() => parseNpy(bytes)).toThrow(message)
})

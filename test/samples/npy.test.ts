import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { npyBytes, parseNpy } from '../../plugin/samples/npy.ts'
import { entryName } from '../../plugin/samples/npz.ts'
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

test.each([
  ['float16', Uint16Array.of(1, 2)],
  ['bool', Uint8Array.of(1, 0)],
  ['int64', BigInt64Array.of(-1n, 2n ** 62n)],
] as const)('a .npy file of %s is written as it is read', (dtype, data) => {
  for (const dims of [[2], [1, 2], [2, 1, 1]])
    expect(parseNpy(npyBytes({ dtype, dims, data }))).toEqual({ dtype, dims, data })
})

test('bfloat16 is written as the same numbers in float32', () => {
  const bytes = npyBytes({ dtype: 'bfloat16', dims: [3], data: Uint16Array.of(0x3f80, 0xc000, 0) })
  expect(parseNpy(bytes)).toEqual({ dtype: 'float32', dims: [3], data: Float32Array.of(1, -2, 0) })
})

test.each([
  ['/model/Add_output_0', '%2Fmodel/Add_output_0'],
  ['a/b.c', 'a/b.c'],
  ['../x', '%2E%2E/x'],
  ['a/../../b', 'a/%2E%2E/%2E%2E/b'],
  ['..\\x', '..%5Cx'],
  ['C:x', 'C%3Ax'],
  ['x\u001B[2J\n', 'x%1B[2J%0A'],
  ['\u202Ex', '%{202E}x'],
  ['%2E', '%252E'],
  ['', ''],
])('the name %j of a model is %j in an .npz file', (name, entry) => {
  expect(entryName(name)).toBe(entry)
})

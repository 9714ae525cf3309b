import { describe, expect, test } from 'vitest'
import { byName, count, didYouMean, formatBytes, keyPath, quote, quoteText, shorten } from '../plugin/text.ts'

describe('text for messages', () => {
  test.each<[path: readonly (string | number)[], text: string]>([
    [['shapes', 'image', 1], 'shapes.image[1]'],
    [['models', '**/pose.onnx', 'engine'], 'models["**/pose.onnx"].engine'],
    [['profiles', 0, 'min', '__proto__'], 'profiles[0].min.__proto__'],
    [['shapes', ''], 'shapes[""]'],
    [['a"b'], '["a\\"b"]'],
    [[], ''],
  ])('the key path %j is written %s', (path, text) => {
    expect(keyPath(path)).toBe(text)
  })

  test('a key path with a name of a megabyte is cut', () => {
    expect(keyPath(['shapes', 'x'.repeat(1e6)])).toBe(`shapes["${'x'.repeat(80)}..."]`)
  })

  test.each([
    ['abc', 3, 'abc'],
    ['abcd', 3, 'abc...'],
    ['', 3, ''],
  ])('%j cut to %i characters is %j', (text, limit, short) => {
    expect(shorten(text, limit)).toBe(short)
  })

  test.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [1_550_000, '1.6 MB'],
    [2.5e9, '2.5 GB'],
    [3e15, '3000.0 TB'],
  ])('%i bytes are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text)
  })

  test.each([
    [0, '0 models'],
    [1, '1 model'],
    [2, '2 models'],
  ])('%i of a noun is %s', (amount, text) => {
    expect(count(amount, 'model')).toBe(text)
  })

  test.each([
    [undefined, undefined],
    ['image', "Did you mean 'image'?"],
    ['x'.repeat(1e6), `Did you mean '${'x'.repeat(120)}...'?`],
  ])('the hint for a near name (case %#) is complete and short', (near, hint) => {
    expect(didYouMean(near)).toBe(hint)
  })

  test('a name from a model cannot break a line or end its quotes', () => {
    expect(quote('a"b\nc')).toBe('"a\\"b\\nc"')
    expect(quote('x'.repeat(1000))).toHaveLength(122)
    expect(quoteText('x'.repeat(1000))).toBe(`'${'x'.repeat(120)}...'`)
  })

  test('a record by names keeps __proto__ and constructor as names', () => {
    const record = byName([
      ['__proto__', 1],
      ['constructor', 2],
    ])
    expect(Object.entries(record)).toEqual([
      ['__proto__', 1],
      ['constructor', 2],
    ])
    expect(Object.getPrototypeOf(record)).toBeNull()
  })
})

import { describe, expect, test } from 'vitest'
import { addSample, finish, newComparison } from '../../plugin/measure/compare.ts'
import { sequenceEdits } from '../../plugin/measure/sequence.ts'
import { problemOf } from '../../plugin/verify/limits.ts'

const dims = [1, 10, 5]

/** Rows of probabilities, or of other numbers, whose largest elements are a path, next to those of a known text. */
function compare(path: readonly number[], probabilities = true) {
  const tensorOf = (symbols: readonly number[]) => {
    const data = new Float32Array(50).fill(probabilities ? 0.1 : -3)
    symbols.forEach((symbol, step) => (data[step * 5 + symbol] = 0.6))
    return { dtype: 'float32', dims, data } as const
  }
  const counting = newComparison('text', { atol: null, rtol: null })
  addSample(counting, tensorOf([0, 1, 1, 0, 2, 2, 0, 3, 0, 0]), tensorOf(path))
  return finish(counting)
}

describe('the text of a sequence', () => {
  // Symbol 0 is blank.
  const text = [0, 1, 1, 0, 2, 2, 0, 3, 0, 0]
  test.each([
    ['the same', text, 0],
    ['the same a step later', [0, 0, 1, 1, 0, 2, 0, 3, 3, 0], 0],
    ['one symbol replaced', [0, 1, 1, 0, 4, 4, 0, 3, 0, 0], 1],
    ['one symbol missing', [0, 1, 1, 0, 0, 0, 0, 3, 0, 0], 1],
    ['one symbol twice, with a blank between', [0, 1, 0, 1, 2, 2, 0, 3, 0, 0], 1],
    ['nothing at all', [0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 3],
  ])('%s', (_, path, edits) => {
    expect(sequenceEdits(text, path, dims)).toEqual({ symbols: 3, edits })
  })

  test('has its blank at the end where that is there more often', () => {
    const last = [4, 1, 1, 4, 0, 4, 4, 3, 4, 4]
    expect(sequenceEdits(last, last, dims)).toEqual({ symbols: 3, edits: 0 })
  })

  test('is counted for each member of a batch', () => {
    const pair = [...text, ...text]
    expect(sequenceEdits(pair, [...text, ...text.map(() => 0)], [2, 10, 5])).toEqual({ symbols: 6, edits: 3 })
  })

  test.each([
    ['two dims', [10, 5]],
    ['few steps', [2, 5, 5]],
    ['two classes', [1, 25, 2]],
  ])('is not read from an output of %s', (_, shape) => {
    expect(sequenceEdits(text, text, shape)).toBeUndefined()
  })
})

describe('an output that stands for a text', () => {
  const threshold = { precision: 'int8', argmax: 0, cosine: 0.1, maxError: 1, decided: 0.5, edits: 0.1 } as const

  test('is beyond its limit when a symbol of three changes', () => {
    const output = compare([0, 1, 1, 0, 4, 2, 0, 3, 0, 0])
    expect(output.text).toEqual({ symbols: 3, edits: 1 })
    expect(problemOf(output, threshold)).toBe('changes 1 of the 3 symbols of its text, more than 10%')
  })

  test('may have its symbols at other steps', () => {
    expect(problemOf(compare([0, 0, 1, 0, 0, 2, 0, 0, 3, 0]), threshold)).toBeUndefined()
  })

  test('is one of probabilities only', () => {
    expect(compare([0, 1, 1, 0, 4, 2, 0, 3, 0, 0], false).text).toBeUndefined()
  })
})

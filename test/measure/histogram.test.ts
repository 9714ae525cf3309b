import { describe, expect, test } from 'vitest'
import { addStored, type Histogram, newHistogram, rangeOf } from '../../plugin/measure/histogram.ts'
import type { Interval } from '../../plugin/measure/least-error.ts'
import { normal } from '../support/samples.ts'

describe('histogram', () => {
  test('samples in any order give the same ranges', () => {
    const [first, second] = [normal(5000, 1), normal(5000, 2).map((value) => value * 10)]
    const [forth, back] = [newHistogram(), newHistogram()]
    for (const part of [first, second]) addFloats(forth, part)
    for (const part of [second, first]) addFloats(back, part)
    const [a, b] = [rangeOf(forth, 99), rangeOf(back, 99)]
    expect([a.min, a.max]).toEqual([b.min, b.max])
    for (const side of [0, 1] as const) {
      expect(a.percentile[side]).toBeCloseTo(b.percentile[side], 1)
      expect(a.entropy.int8[side]).toBeCloseTo(b.entropy.int8[side], 1)
    }
  })

  test('rare large values are cut: by rank for a percentile, by the loss of 8 bits for the entropy', () => {
    const values = normal(100_000)
    values[7] = 100
    const histogram = newHistogram()
    addFloats(histogram, values)
    const range = rangeOf(histogram, 99.9)
    expect(range.max).toBeCloseTo(100, 0)
    expect(range.percentile[1]).toBeGreaterThan(2.5)
    expect(range.percentile[1]).toBeLessThan(3.7)
    expect(range.entropy.int8[1]).toBeLessThan(20)
    expect(range.entropy.int8[0]).toBe(range.min)
  })

  test.each([
    { kind: 'int8', step: ([low, high]: Interval) => Math.max(-low, high) / 127 },
    { kind: 'uint8', step: ([low, high]: Interval) => (high - low) / 255 },
  ] as const)(
    'mse in $kind has a smaller squared error than the whole range and than a tight one',
    ({ kind, step }) => {
      const values = normal(260_000)
      values[7] = 10
      const histogram = newHistogram()
      addFloats(histogram, values)
      const range = rangeOf(histogram, 99)
      const error = (ends: Interval) => squaredError(values, ends, step(ends))
      const chosen = error(range.mse[kind])
      expect(range.mse[kind][1]).toBeLessThan(range.max * 0.9)
      expect(chosen).toBeLessThan(error([range.min, range.max]) * 0.9)
      expect(chosen).toBeLessThan(error(range.percentile) * 0.9)
    },
  )

  test('mse cuts nothing from values that are spread evenly', () => {
    const histogram = newHistogram()
    addFloats(
      histogram,
      Float32Array.from({ length: 10_000 }, (_, index) => index / 5000 - 1),
    )
    const { mse, min, max } = rangeOf(histogram, 100)
    expect(mse).toEqual({ int8: [min, max], uint8: [min, max] })
  })

  test('a tensor without negative values has a wider range for unsigned numbers, which have twice the levels', () => {
    const histogram = newHistogram()
    for (let seed = 0; seed < 4; seed++)
      addFloats(
        histogram,
        normal(50_000, seed + 1).map((value) => Math.abs(value) ** 3),
      )
    const { entropy, min, max } = rangeOf(histogram, 100)
    expect(entropy.uint8[1]).toBeGreaterThan(entropy.int8[1])
    expect([min, entropy.uint8[0]]).toEqual([0, 0])
    expect(entropy.uint8[1]).toBeLessThanOrEqual(max)
  })

  test('a large tensor is counted in part, with its true minimum and maximum', () => {
    const values = normal(2 ** 20)
    values[1] = -9
    const histogram = newHistogram()
    addFloats(histogram, values)
    const { min, percentile } = rangeOf(histogram, 99)
    expect(min).toBeCloseTo(-9, 1)
    expect(percentile[0]).toBeCloseTo(-2.49, 0)
  })

  test('samples that are not finite are counted apart', () => {
    const histogram = newHistogram()
    const stored = { data: Uint8Array.of(0, 255), scale: 1, zero: 0 }
    addStored(histogram, stored, false)
    addStored(histogram, { ...stored, scale: Infinity }, true)
    expect(rangeOf(histogram, 100)).toMatchObject({ min: 0, max: 0, nonFinite: 2 })
    addFloats(histogram, Float32Array.of(-1, 1))
    expect(rangeOf(histogram, 100)).toMatchObject({
      min: expect.closeTo(-1, 1),
      max: expect.closeTo(1, 1),
      nonFinite: 2,
    })
    expect(rangeOf(newHistogram(), 100)).toMatchObject({ min: 0, max: 0, nonFinite: 0 })
  })

  test('a tensor of zeros has an empty range', () => {
    const histogram = newHistogram()
    addFloats(histogram, new Float32Array(8))
    expect(rangeOf(histogram, 99.9)).toMatchObject({
      min: 0,
      max: 0,
      percentile: [0, 0],
      entropy: { int8: [0, 0], uint8: [0, 0] },
    })
  })
})

/** Counts floats as the operator DynamicQuantizeLinear stores them. */
function squaredError(values: Float32Array, [low, high]: Interval, step: number): number {
  return values.reduce((sum, value) => {
    const stored = step * Math.round(Math.max(low, Math.min(high, value)) / step)
    return sum + (stored - value) ** 2
  }, 0)
}

function addFloats(histogram: Histogram, values: Float32Array): void {
  const [min, max] = values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [0, 0])
  const scale = max === min ? 1 : (max - min) / 255
  const zero = Math.round(-min / scale)
  addStored(
    histogram,
    {
      data: Uint8Array.from(values, (value) => Math.max(0, Math.min(255, Math.round(value / scale) + zero))),
      scale,
      zero,
    },
    true,
  )
}

import { describe, expect, test } from 'vitest'
import { measureCalls } from '../../plugin/bench/measure-calls.ts'
import { inTurn, percentile, summarize } from '../../plugin/bench/statistics.ts'
import { median } from '../../plugin/measure/numbers.ts'

test('the figures of 1 to 100 are those of the nearest rank', () => {
  const times = Float64Array.from({ length: 100 }, (_, index) => 100 - index)
  expect(summarize(times)).toEqual({
    count: 100,
    min: 1,
    mean: 50.5,
    median: 50.5,
    p90: 90,
    p95: 95,
    p99: 99,
    max: 100,
  })
})

test.each<[string, readonly number[], number, number]>([
  ['one value', [7], 7, 7],
  ['two values', [1, 3], 2, 3],
  ['three values', [9, 1, 5], 5, 9],
])('median and 99th percentile of %s', (_, values, middle, highest) => {
  expect(median(values)).toBe(middle)
  expect(
    percentile(
      values.toSorted((a, b) => a - b),
      0.99,
    ),
  ).toBe(highest)
})

test('inTurn alternates, and its first round does not count', async () => {
  const order: string[] = []
  const side = (name: string) => async () => {
    order.push(name)
    return order.length
  }
  expect(await inTurn(3, side('a'), side('b'))).toEqual({ ours: 5, peer: 6 })
  expect(order.join('')).toBe('abababab')
})

const failing = () => Promise.reject(new Error('lost device'))

describe('measured calls', () => {
  test.each([
    [1, 2500],
    [4, 10],
  ])('%i callers make at least %i calls, never more at once, and each has a time', async (callers, calls) => {
    let running = 0
    let most = 0
    let count = 0
    const run = async () => {
      most = Math.max(most, ++running)
      count++
      await Promise.resolve()
      running--
    }
    const { times } = await measureCalls(run, { milliseconds: 0, calls }, callers)
    expect(most).toBe(callers)
    expect(times).toHaveLength(count)
    expect(count).toBeGreaterThanOrEqual(calls)
    expect(count).toBeLessThan(calls + callers)
  })

  test('the times of one caller fill the whole time', async () => {
    const { times, elapsed } = await measureCalls(() => Promise.resolve(), { milliseconds: 0, calls: 5000 })
    expect(times.reduce((sum, time) => sum + time, 0) / elapsed).toBeCloseTo(1, 1)
  })

  test('an error of a call ends the measurement', async () => {
    await expect(measureCalls(failing, { milliseconds: 0, calls: 1 }, 2)).rejects.toThrow('lost device')
  })
})

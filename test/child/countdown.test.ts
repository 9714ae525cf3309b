import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { countdown, longestTimeout } from '../../plugin/child/countdown.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('a countdown', () => {
  test('that was never started does not end', () => {
    const { signal } = countdown(10)
    vi.advanceTimersByTime(1000)
    expect(signal.aborted).toBe(false)
  })

  test('counts only while it runs, over several runs', () => {
    const { signal, start, stop } = countdown(100)
    start()
    vi.advanceTimersByTime(60)
    stop()
    vi.advanceTimersByTime(1000)
    start()
    vi.advanceTimersByTime(39)
    expect(signal.aborted).toBe(false)
    vi.advanceTimersByTime(1)
    expect(signal.aborted).toBe(true)
  })

  test('that is stopped before it starts, or twice, loses no time', () => {
    const { signal, start, stop } = countdown(100)
    stop()
    start()
    vi.advanceTimersByTime(50)
    stop()
    stop()
    vi.advanceTimersByTime(50)
    start()
    vi.advanceTimersByTime(49)
    expect(signal.aborted).toBe(false)
    vi.advanceTimersByTime(1)
    expect(signal.aborted).toBe(true)
  })

  test('of more milliseconds than a timer takes does not end at once', () => {
    const { signal, start } = countdown(10 * longestTimeout)
    start()
    vi.advanceTimersByTime(1000)
    expect(signal.aborted).toBe(false)
  })
})

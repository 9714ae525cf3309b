import { describe, expect, test } from 'vitest'
import { searchPins, type PinSearch, type Trial } from '../../plugin/compile/search-pins.ts'

/** A node of a made-up network: what it loses in int8, and the time that it takes in both precisions. */
interface FakeNode {
  readonly error: number
  readonly int8: number
  readonly fp32: number
}

const limit = 0.02

/** Errors of nodes add up, and so do their times: what an engine of such a network would measure. */
function network(nodes: Readonly<Record<string, FakeNode>>) {
  const asked: (readonly string[])[] = []
  const all = Object.values(nodes).reduce((sum, { fp32 }) => sum + fp32, 0)
  const measure = async (pinned: readonly string[]): Promise<Trial> => {
    asked.push(pinned)
    const kept = new Set(pinned)
    const lowered = Object.entries(nodes).filter(([name]) => !kept.has(name))
    const distance = lowered.reduce((sum, [, { error }]) => sum + error, 0)
    const time = Object.entries(nodes).reduce((sum, [name, node]) => sum + (kept.has(name) ? node.fp32 : node.int8), 0)
    return { pinned, isFine: distance <= limit, distance, ratio: time / all, size: 1 }
  }
  const names = Object.keys(nodes)
  const task: PinSearch = { groups: names.map((name) => [name]), measure, outOfTime: () => false }
  return { task, asked }
}

const cheap = { error: 0.001, int8: 1, fp32: 3 }

describe('a search for what stays in fp32', () => {
  test('keeps nothing where int8 is right and faster everywhere', async () => {
    const { best } = await searchPins(network({ a: cheap, b: cheap, c: cheap }).task)
    expect(best?.pinned).toEqual([])
  })

  test('keeps the node that loses too much', async () => {
    const { best } = await searchPins(network({ a: cheap, b: { ...cheap, error: 0.5 }, c: cheap }).task)
    expect(best?.pinned).toEqual(['b'])
  })

  test('prefers the node that costs less time, where either would do', async () => {
    const nodes = { a: { error: 0.015, int8: 1, fp32: 20 }, b: { error: 0.015, int8: 1, fp32: 2 }, c: cheap }
    const { best } = await searchPins(network(nodes).task)
    expect(best?.pinned).toEqual(['b'])
  })

  test('keeps what is faster in fp32, though it is right in int8', async () => {
    const { best } = await searchPins(network({ a: cheap, b: { error: 0, int8: 5, fp32: 1 } }).task)
    expect(best?.pinned).toEqual(['b'])
  })

  test('leaves out again what another group made needless', async () => {
    const nodes = { a: { error: 0.019, int8: 1, fp32: 1.5 }, b: { error: 0.5, int8: 1, fp32: 9 }, c: cheap }
    const { best } = await searchPins(network(nodes).task)
    expect(best?.pinned).toEqual(['b'])
  })

  test('finds nothing where even all groups do not help', async () => {
    const { task } = network({ a: { ...cheap, error: 1 }, b: { ...cheap, error: 1 } })
    const { best } = await searchPins({ ...task, groups: [['a']] })
    expect(best).toBeUndefined()
  })

  test('has what was known before when time runs out at once', async () => {
    const { task, asked } = network({ a: { ...cheap, error: 0.5 }, b: cheap })
    const { best } = await searchPins({ ...task, known: ['a'], outOfTime: () => true })
    expect(best?.pinned).toEqual(['a'])
    expect(asked).toEqual([[], ['a']])
  })

  test('is the best so far when time runs out in between', async () => {
    const { task, asked } = network({ a: { ...cheap, error: 0.5 }, b: { ...cheap, error: 0.5 }, c: cheap })
    const { best } = await searchPins({ ...task, known: ['a', 'b', 'c'], outOfTime: () => asked.length > 3 })
    expect(best?.pinned).toEqual(['a', 'b', 'c'])
  })

  test('an engine without numbers is never the best', async () => {
    const { task } = network({ a: cheap })
    const broken: Trial = { pinned: [], isFine: false, distance: null, ratio: null, size: 0 }
    expect(await searchPins({ ...task, groups: [], measure: async () => broken })).toMatchObject({ best: undefined })
  })
})

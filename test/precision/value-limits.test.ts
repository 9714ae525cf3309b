import { describe, expect, test } from 'vitest'
import { newTensor } from '../../plugin/onnx/content.ts'
import { newNode } from '../../plugin/onnx/edit.ts'
import { misfit } from '../../plugin/precision/half/content.ts'
import { rangeOf, type HalfDType } from '../../plugin/precision/half/rounding.ts'
import {
  constantReason,
  factsInside,
  isWorthMoving,
  markCast,
  newFacts,
  rangeReason,
  spreadLimits,
  type RangeLimits,
  type RangeView,
} from '../../plugin/precision/half/value-limits.ts'

const view = (limits: Partial<RangeLimits> = {}, isBranch = false): RangeView => ({
  facts: newFacts([]),
  limits: { dtype: 'float16', maxValue: 4096, ...limits },
  isBranch,
  constantRange: async ({ floatData, rawData }) =>
    rangeOf(floatData.length > 0 ? Float32Array.from(floatData) : new Float32Array(new Uint8Array(rawData).buffer)),
})
const ports = { inputs: ['x'], outputs: ['y'], lowInputs: ['x'], lowOutputs: ['y'] }

describe('values in 16 bits', () => {
  test.each<[values: readonly number[], dtype: HalfDType, problem: string | undefined]>([
    [[0, 1, -65504], 'float16', undefined],
    [[65520], 'float16', 'holds 6.55e+4, beyond the range of float16'],
    [[65520], 'bfloat16', undefined],
    [[1e-7, -1e-8], 'float16', 'holds nothing above 1.00e-7, too small for float16'],
    [[1e-6, 1], 'float16', undefined],
    [[0], 'float16', undefined],
    [[1, NaN], 'bfloat16', 'holds NaN or infinity'],
    [[-Infinity], 'float16', 'holds NaN or infinity'],
  ])('%j as %s: %s', (values, dtype, problem) => {
    expect(misfit(rangeOf(Float32Array.from(values)), dtype)).toBe(problem)
  })
})

describe('a value out of range', () => {
  test.each<[operator: string, limit: 'wide' | 'fragile', position: number, spreads: boolean]>([
    ['Add', 'wide', 0, true],
    ['Sigmoid', 'wide', 0, false],
    ['Div', 'wide', 0, true],
    ['Div', 'wide', 1, false],
    ['Concat', 'fragile', 0, true],
    ['Sqrt', 'fragile', 0, true],
    ['Div', 'fragile', 1, false],
    ['Add', 'fragile', 0, false],
  ])('of %s that is %s at input %i goes on to the result: %s', (operator, limit, position, spreads) => {
    const inputs = ['a', 'b']
    const { facts } = view()
    facts[limit].add(inputs[position]!)
    spreadLimits(newNode(operator, inputs, ['y']), { inputs, outputs: ['y'] }, facts)
    expect(facts[limit].has('y')).toBe(spreads)
  })

  test.each([
    ['int64', view(), true],
    ['uint8', view(), false],
    ['bool', view(), false],
    [undefined, view(), false],
    ['int64', view({ dtype: 'bfloat16' }), false],
    ['int64', view({ magnitudes: new Map() }), false],
    ['int64', view({ magnitudes: new Map() }, true), true],
  ] as const)('may come from a Cast of %s (case %#): %s', (source, graph, wide) => {
    markCast(graph, 'y', source)
    expect(graph.facts.wide.has('y')).toBe(wide)
  })

  test('inside a branch is not one outside', () => {
    const outside = newFacts(['low'])
    const inside = factsInside(outside, new Map())
    inside.wide.add('y')
    inside.lowValues.add('y')
    expect(inside.lowValues).toEqual(new Set(['low', 'y']))
    expect([outside.wide, outside.lowValues]).toEqual([new Set(), new Set(['low'])])
  })
})

describe('the reason that a node stays in fp32', () => {
  test.each<[title: string, operator: string, view: RangeView, reason: string | undefined]>([
    ['nothing', 'Add', view(), undefined],
    [
      'a large input on samples',
      'Add',
      view({ magnitudes: new Map([['x', 5000]]) }),
      'x reaches 5.00e+3 on the samples',
    ],
    [
      'an infinite result',
      'Exp',
      view({ magnitudes: new Map([['y', Infinity]]) }),
      'y reaches Infinity on the samples',
    ],
    ['small samples of a wide operator', 'Exp', view({ magnitudes: new Map() }), undefined],
    ['a wide operator', 'Exp', view(), 'may overflow float16; add samples to find out'],
    [
      'a wide operator in a branch, with samples',
      'Exp',
      view({ magnitudes: new Map() }, true),
      'may overflow float16; samples do not cover branches',
    ],
    ['a wide operator in bfloat16', 'Exp', view({ dtype: 'bfloat16' }), undefined],
  ])('is its range: %s', (_, operator, graph, reason) => {
    expect(rangeReason(newNode(operator, ['x'], ['y']), ports, graph)).toBe(reason)
  })

  test.each([
    ['Exp', true],
    ['LpNormalization', false],
  ])('is %s: its result may be wide as well: %s', (operator, wide) => {
    const graph = view()
    rangeReason(newNode(operator, ['x'], ['y']), ports, graph)
    expect(graph.facts.wide.has('y')).toBe(wide)
  })

  test.each([
    ['Add', 'wide', 'its input x may be beyond the range of float16'],
    ['Sqrt', 'fragile', 'its input may be too small for float16'],
    ['Add', 'fragile', undefined],
  ] as const)('is an input: %s of a %s value', (operator, limit, reason) => {
    const graph = view()
    graph.facts[limit].add('x')
    expect(rangeReason(newNode(operator, ['x'], ['y']), ports, graph)).toBe(reason)
  })

  test.each<[value: number, operator: string, reason: string | undefined, marks: 'wide' | 'fragile' | 'nothing']>([
    [1, 'Add', undefined, 'nothing'],
    [1e9, 'Add', 'its constant x holds 1.00e+9, beyond the range of float16', 'wide'],
    [1e9, 'Sigmoid', 'its constant x holds 1.00e+9, beyond the range of float16', 'nothing'],
    [1e-12, 'Add', 'its constant x holds nothing above 1.00e-12, too small for float16', 'fragile'],
  ])('is a constant of %d in %s: %s', async (value, operator, reason, marks) => {
    for (const store of ['constants', 'fillings'] as const) {
      const graph = view()
      if (store === 'fillings') graph.facts.fillings.set('x', value)
      else graph.facts.constants.set('x', newTensor('x', { dtype: 'float32', dims: [1] }, Float32Array.of(value)))
      expect(await constantReason(newNode(operator, ['x'], ['y']), ports, graph)).toBe(reason)
      const { wide, fragile } = graph.facts
      expect([wide.has('y'), fragile.has('y')]).toEqual([marks === 'wide', marks === 'fragile'])
    }
  })
})

describe('an operator that moves values', () => {
  const table = newTensor('table', { dtype: 'float32', dims: [256] }, new Float32Array(256))
  const scalar = newTensor('scalar', { dtype: 'float32', dims: [] }, new Float32Array(1))
  const facts = newFacts(['low'])
  facts.constants.set('table', table).set('scalar', scalar)
  facts.fillings.set('zeros', 0)

  test.each<[values: readonly string[], worth: boolean]>([
    [['low'], true],
    [['low', 'zeros', 'scalar'], true],
    [['low', 'high'], false],
    [['high'], false],
    [['table'], true],
    [['scalar'], false],
    [['zeros'], false],
  ])('of %j is lowered: %s', (values, worth) => {
    expect(isWorthMoving(values, facts)).toBe(worth)
  })
})

import { describe, expect, test } from 'vitest'
import type { Comparison } from '../../plugin/measure/compare.ts'
import { compileOptions, resolveOptions } from '../../plugin/options/resolve.ts'
import type { Options } from '../../plugin/options/types.ts'
import { failuresOf, percent, problemOf, thresholdOf } from '../../plugin/verify/limits.ts'
import type { Precision } from '../../runtime/manifest.ts'

/** An output whose largest element is 1, and that differs from fp32 by 0.01, but for what the case says. */
function output(changed: Partial<Comparison> = {}): Comparison {
  return {
    name: 'y',
    maxAbs: 0.01,
    largest: 1,
    excess: 0,
    constant: false,
    discrete: false,
    cosine: 1,
    norm: 1,
    argmax: 1,
    decided: 0,
    sameDecided: 0,
    outside: null,
    compared: 100,
    nonFinite: 0,
    ...changed,
  }
}

function thresholdWith(options: Options, model: { readonly rounds?: string } = {}) {
  return thresholdOf({
    model,
    options: compileOptions(resolveOptions({ engine: 'fp16', ...options }), { file: '/pose.onnx', query: {} }),
  })
}

describe('thresholds', () => {
  test.each<[title: string, options: Options, expected: object]>([
    ['fp32 on random inputs', { engine: 'fp32' }, { cosine: 0.9999, maxError: 5e-4, excess: 5e-5 }],
    ['fp16 on random inputs', {}, { cosine: 0.99, maxError: 0.5, decided: 0.95 }],
    ['bf16 on random inputs', { engine: 'bf16' }, { cosine: 0.95, maxError: 1, decided: 0.9 }],
    ['int8 on samples for calibration', { engine: 'int8', calibration: 's/*.npy' }, { cosine: 0.98, maxError: 1 }],
    [
      'fp16 on samples is stricter',
      { verify: { samples: 's/*.npy' } },
      { cosine: 0.999, maxError: 0.6, decided: 0.98 },
    ],
    ['the option cosine replaces all defaults', { verify: { cosine: 0.5 } }, { cosine: 0.5 }],
    [
      'the option maxError keeps the default cosine only',
      { verify: { maxError: 0.01 } },
      { cosine: 0.99, maxError: 0.01 },
    ],
    ['atol and rtol keep the default cosine only', { verify: { atol: 0.1 } }, { cosine: 0.99 }],
    ['the option argmax keeps all defaults', { verify: { argmax: 1 } }, { cosine: 0.99, maxError: 0.5, argmax: 1 }],
  ])('%s', (_, options, expected) => {
    expect(thresholdWith(options)).toMatchObject(expected)
  })

  test.each<[precision: Precision, as: Precision]>([
    ['fp32', 'fp16'],
    ['fp16', 'fp16'],
    ['int8', 'int8'],
  ])('%s of a model that is quantized already has the limits of %s', (engine, as) => {
    expect(thresholdWith({ engine }, { rounds: 'QLinearConv' })).toEqual(thresholdWith({ engine: as }))
  })

  test.each<[option: string, options: Options]>([
    ['cosine', { verify: { cosine: 0.5 } }],
    ['atol', { verify: { atol: 0.1 } }],
  ])('with the option %s no default limit of elements and decisions is left', (_, options) => {
    expect(Object.keys(thresholdWith(options)).sort()).toEqual(['argmax', 'cosine', 'objects', 'precision'])
  })
})

describe('problem of an output', () => {
  interface Case {
    readonly changed: Partial<Comparison>
    readonly options?: Options
    readonly problem?: string
  }

  test.each<[title: string, given: Case]>([
    ['the same numbers pass', { changed: { maxAbs: 0 } }],
    ['the least cosine passes', { changed: { cosine: 0.99 } }],
    [
      'a cosine below the least one fails',
      {
        changed: { cosine: 0.9899 },
        problem: 'has cosine 0.9899, less than 0.99',
      },
    ],
    [
      'a cosine of many digits is never rounded to the limit that it fails',
      {
        changed: { cosine: 0.98999999 },
        problem: 'has cosine 0.98999999, less than 0.99',
      },
    ],
    [
      'a difference within 16 times the noise of fp32 itself passes, whatever the cosine',
      {
        changed: { cosine: 0.5, maxAbs: 0.16, noise: { maxAbs: 0.01, argmax: 1 } },
      },
    ],
    [
      'a difference beyond the noise is judged',
      {
        changed: { cosine: 0.5, maxAbs: 0.17, noise: { maxAbs: 0.01, argmax: 1 } },
        problem: 'has cosine 0.5, less than 0.99',
      },
    ],
    ['a scale within the angle passes', { changed: { norm: 1.14 } }],
    [
      'a wrong scale fails, though the cosine is 1',
      {
        changed: { norm: 1.2 },
        problem: 'is 1.200 times as large as in fp32, more than 0.14 off',
      },
    ],
    ['the largest allowed error of an element passes', { changed: { maxAbs: 1, largest: 2 } }],
    [
      'one wrong element fails, though the cosine is 1',
      {
        changed: { maxAbs: 1.01, largest: 2 },
        problem: 'differs by 1.0e+0 of 2.00, more than 0.5 of its largest element',
      },
    ],
    [
      'a wrong small element next to large ones fails in fp32',
      {
        changed: { maxAbs: 0.3, excess: 0.295, largest: 640 },
        options: { engine: 'fp32' },
        problem: 'differs by 2.9e-1 more than a hundredth of an element, with 640 as its largest element',
      },
    ],
    [
      'a small element that is wrong within the noise of fp32 itself passes',
      {
        changed: { maxAbs: 0.3, excess: 0.295, largest: 640, noise: { maxAbs: 0.02, argmax: 1 } },
        options: { engine: 'fp32' },
      },
    ],
    [
      'a small element that loses digits in lower precision passes',
      { changed: { maxAbs: 0.3, excess: 0.295, largest: 640 } },
    ],
    [
      'probabilities near zero pass, whatever their direction and length',
      { changed: { maxAbs: 9e-4, largest: 1e-3, cosine: 0.5, norm: 3, probability: true } },
    ],
    [
      'numbers near zero that are no probabilities are judged',
      {
        changed: { maxAbs: 9e-4, largest: 1e-3, cosine: 0.5 },
        problem: 'has cosine 0.5, less than 0.99',
      },
    ],
    [
      'a limit of the user holds for probabilities near zero too',
      {
        changed: { maxAbs: 9e-4, largest: 1e-3, cosine: 0.5, probability: true },
        options: { verify: { cosine: 0.9 } },
        problem: 'has cosine 0.5, less than 0.9',
      },
    ],
    ['clear decisions that stay the same pass', { changed: { decided: 100, sameDecided: 95 } }],
    [
      'clear decisions that change fail',
      {
        changed: { decided: 100, sameDecided: 94 },
        problem: 'keeps 94% of its clear decisions, less than 95%',
      },
    ],
    ['another largest element passes without the option argmax', { changed: { argmax: 0.5 } }],
    [
      'another largest element fails below the option argmax',
      {
        changed: { argmax: 0.9999 },
        options: { verify: { argmax: 1 } },
        problem: 'has the same largest element in 99.9% of its rows, less than 100%',
      },
    ],
    [
      'elements beyond atol and rtol fail',
      {
        changed: { outside: 3 },
        options: { verify: { atol: 0.1 } },
        problem: 'has 3 elements beyond atol and rtol',
      },
    ],
    ['integers may change in fp16', { changed: { discrete: true, argmax: 0.5, maxAbs: 9 } }],
    [
      'integers must not change in fp32',
      {
        changed: { discrete: true, argmax: 0.99, maxAbs: 1 },
        options: { engine: 'fp32' },
        problem: 'has other values in 1% of its elements',
      },
    ],
    [
      'integers of fp32 may change four times as often as fp32 changes by itself',
      {
        changed: { discrete: true, argmax: 0.99, maxAbs: 1, noise: { maxAbs: 0, argmax: 0.997 } },
        options: { engine: 'fp32' },
      },
    ],
    [
      'NaN where fp32 has numbers fails before any figure is read',
      {
        changed: { maxAbs: null, cosine: 0 },
        problem: 'has NaN or infinity where the fp32 model has numbers',
      },
    ],
    [
      'an output of another shape fails with both shapes',
      {
        changed: { trouble: 'expected float32[2], received float32[3]', cosine: 0 },
        problem: 'expected float32[2], received float32[3]',
      },
    ],
  ])('%s', (_, { changed, options = {}, problem }) => {
    expect(problemOf(output(changed), thresholdWith(options))).toBe(problem)
  })

  test('every output that is too far away has its own line', () => {
    const outputs = [output({ name: 'a', cosine: 0 }), output({ name: 'b' }), output({ name: 'c', maxAbs: null })]
    expect(failuresOf(outputs, thresholdWith({}))).toEqual([
      'output "a" has cosine 0, less than 0.99',
      'output "c" has NaN or infinity where the fp32 model has numbers',
    ])
  })
})

describe('percent', () => {
  test.each([
    [0, '0%'],
    [0.004, '0%'],
    [0.5, '50%'],
    [0.994, '99.4%'],
    [0.99999, '99.9%'],
    [1, '100%'],
  ])('%d is written %s', (part, text) => {
    expect(percent(part)).toBe(text)
  })
})

import { describe, expect, test } from 'vitest'
import type { Comparison } from '../../plugin/measure/compare.ts'
import { compileOptions, resolveOptions } from '../../plugin/options/resolve.ts'
import type { Options } from '../../plugin/options/types.ts'
import type { PrecisionPass } from '../../plugin/precision/pass.ts'
import type { VerifyRequest } from '../../plugin/verify/request.ts'
import {
  distanceOf,
  unsteadyRows,
  unusableReference,
  verificationError,
  verificationText,
  type Verification,
} from '../../plugin/verify/verdict.ts'

/** An output of 100 elements that is the same as in fp32, but for what the case says. */
function output(changed: Partial<Comparison> = {}): Comparison {
  return {
    name: 'y',
    maxAbs: 0,
    largest: 1,
    excess: 0,
    cosine: 1,
    norm: 1,
    argmax: 1,
    constant: false,
    discrete: false,
    decided: 0,
    sameDecided: 0,
    outside: null,
    compared: 100,
    nonFinite: 0,
    ...changed,
  }
}

const unvaried = { inputs: [], outputs: [] }

function verification(changed: Partial<Verification> = {}): Verification {
  return {
    inputs: 'random inputs',
    outputs: [output()],
    emulated: false,
    failures: [],
    blame: [],
    spread: null,
    tried: [],
    unvaried,
    first: null,
    ...changed,
  }
}

function request(options: Options = {}, pass?: PrecisionPass): VerifyRequest {
  return {
    name: 'pose',
    backend: 'onnxruntime',
    model: {} as Partial<VerifyRequest['model']> as VerifyRequest['model'],
    options: compileOptions(resolveOptions({ engine: 'fp16', ...options }), { file: '/pose.onnx', query: {} }),
    pass,
  } as Partial<VerifyRequest> as VerifyRequest
}

describe('distance', () => {
  test.each<[title: string, { outputs: readonly Comparison[]; distance: number }]>([
    ['no output is at distance 0', { outputs: [], distance: 0 }],
    ['the same numbers are at distance 0', { outputs: [output()], distance: 0 }],
    ['the furthest output decides', { outputs: [output({ cosine: 0.9 }), output({ cosine: 0.75 })], distance: 0.25 }],
    ['a wrong scale counts without a wrong direction', { outputs: [output({ norm: 3 })], distance: 2 }],
    ['NaN is infinitely far away', { outputs: [output({ maxAbs: null })], distance: Infinity }],
    ['a wrong shape is infinitely far away', { outputs: [output({ trouble: 'other shape' })], distance: Infinity }],
  ])('%s', (_, { outputs, distance }) => {
    expect(distanceOf({ inputs: '', tried: [], unvaried, outputs })).toBeCloseTo(distance, 12)
  })
})

describe('unusable reference', () => {
  test.each<[title: string, { changed: Partial<Comparison> }]>([
    ['numbers and NaN in one output can be compared', { changed: { compared: 1, nonFinite: 99 } }],
    ['an empty output is no error', { changed: { compared: 0 } }],
  ])('%s', (_, { changed }) => {
    expect(
      unusableReference(request(), { inputs: '2 samples', tried: [], unvaried, outputs: [output(changed)] }),
    ).toBeUndefined()
  })

  test('an output without one finite number in fp32 is an error about the samples', () => {
    const outputs = [output(), output({ name: 'z', compared: 0, nonFinite: 8 })]
    expect(unusableReference(request(), { inputs: '2 samples', tried: [], unvaried, outputs })).toMatchObject({
      code: 'VERIFICATION_FAILED',
      message: expect.stringContaining('pose: output "z" on 2 samples'),
      expected: 'numbers from the fp32 model',
      received: 'NaN or infinity in all 8 elements before anything was lowered',
      hint: 'Check the samples, or the model itself with ?engine=fp32',
    })
  })
})

describe('rows whose largest element moves within the limits', () => {
  const moved = output({ cosine: 0.9998, argmax: 0.36 })
  const said = [
    'output "y" has its largest element elsewhere in 64% of its rows, with a cosine of 0.99980: ' +
      `if its rows are decisions, set a limit by 'verify.argmax'`,
  ]
  const none: readonly string[] = []
  test.each([
    ['on samples they are told', {}, {}, said],
    ['on random inputs they mean little', { inputs: 'random inputs' }, {}, none],
    ['a limit of the user decides alone', {}, { argmax: 0.3 }, none],
    ['a failure says more', { failures: ['output "y" is wrong'] }, {}, none],
    ['most rows stay', { outputs: [output({ argmax: 0.8 })] }, {}, none],
    ['integers are compared by value', { outputs: [output({ argmax: 0.2, discrete: true })] }, {}, none],
  ])('%s', (_, changed, verify, lines) => {
    const result = verification({ inputs: '2 samples', outputs: [moved], ...changed })
    expect(unsteadyRows(result, { ...request().options, verify: { timeout: 1000, ...verify } })).toEqual(lines)
  })
})

describe('verification error', () => {
  const failures = ['output "y" has cosine 0.5, less than 0.99']
  const outputs = [
    output({ maxAbs: 0.25, largest: 12.345, cosine: 0.5, argmax: 0.75 }),
    output({ name: 'z', maxAbs: null, nonFinite: 2 }),
  ]
  const subject = 'differs from the fp32 model on random inputs: output "y" has cosine 0.5, less than 0.99'
  const other = `Use another precision, or allow more by the option 'verify'`
  const most = 'Most is lost from a to d (4, 76%), x to y (2)'
  const list = `List them in the option 'precision.fp32', set 'precision.autoPin', or allow more by 'verify'`
  const culprits = Array.from({ length: 22 }, (_, index) => ({ name: `n${index}`, operator: 'Mul', readers: [] }))

  test.each<[title: string, { changed: Partial<Verification>; text: string }]>([
    [
      'without culprits there is a row for each output and the advice to take another precision',
      {
        changed: {},
        text: `pose: engine=fp16 on onnxruntime ${subject}
  y  max abs 2.5e-1 of 12.3  cosine 0.50000  argmax 75%
  z  max abs not finite of 1.00  cosine 1.00000  argmax 100%  2 elements not finite in fp32
. ${other}`,
      },
    ],
    [
      'an emulated engine is named as one',
      {
        changed: { emulated: true, outputs: [] },
        text: `pose: engine=fp16 on onnxruntime (emulated) ${subject}
. ${other}`,
      },
    ],
    [
      'nodes and weights to blame are named with what they are, up to three readers each',
      {
        changed: {
          outputs: [],
          blame: [
            { name: 'scale', operator: 'Mul', readers: [] },
            { name: 'w', operator: 'initializer', readers: ['MatMul a'] },
            { name: 'v', operator: 'initializer', readers: ['Add a', 'Add b', 'Add c', 'Add d', 'Add e'] },
            { name: 'gone', operator: '', readers: [] },
          ],
        },
        text: `pose: engine=fp16 on onnxruntime ${subject}
Keeping these in fp32 fixes it: scale (Mul), w (read by MatMul a), v (read by Add a, Add b, Add c and 2 more), gone
. ${list}`,
      },
    ],
    [
      'of more than 20 culprits the first 20 are named, and the others counted',
      {
        changed: { outputs: [], blame: culprits },
        text: `pose: engine=fp16 on onnxruntime ${subject}
Keeping these in fp32 fixes it: ${culprits
          .slice(0, 20)
          .map(({ name }) => `${name} (Mul)`)
          .join(', ')} and 2 more
. ${list}`,
      },
    ],
    [
      'a loss that is spread has its worst ranges of nodes instead of culprits',
      {
        changed: {
          outputs: [],
          blame: culprits,
          spread: {
            of: 40,
            worst: [
              { first: 'a', last: 'd', count: 4, share: 0.756 },
              { first: 'x', last: 'y', count: 2, share: null },
            ],
          },
        },
        text: `pose: engine=fp16 on onnxruntime ${subject}
The loss is spread over many nodes or weights: 22 of 40 would have to stay in fp32. ${most}
. ${other}`,
      },
    ],
  ])('%s', (_, { changed, text }) => {
    const error = verificationError(request(), verification({ failures, outputs, ...changed }))
    expect(error.message).toBe(text)
  })

  test('a model that was exported for training names that as the cause', () => {
    const model = { training: ['Dropout "drop"'] } as Partial<VerifyRequest['model']> as VerifyRequest['model']
    const error = verificationError({ ...request({ engine: 'fp32' }), model }, verification({ failures }))
    expect(error.hint).toMatch(
      /^The cause may be that the model was exported for training.*Dropout "drop".*model\.eval/,
    )
  })

  test('an fp32 engine has its first node that differs and the advice to take another backend', () => {
    const first = { node: 'conv1', operator: 'Conv' }
    const error = verificationError(request({ engine: 'fp32' }), verification({ failures, outputs: [], first }))
    expect(error.message).toMatch(/\nThe first node that differs is conv1 \(Conv\)\n/)
    expect(error.hint).toBe(`Use another backend, or allow more by the option 'verify'`)
  })
})

describe('verification text', () => {
  test.each<[title: string, { changed: Partial<Verification>; text: string }]>([
    [
      'the same numbers have no difference',
      { changed: {}, text: 'max abs 0.0e+0, cosine 1.00000, argmax 100% (random inputs)' },
    ],
    [
      'each figure is that of the worst output',
      {
        changed: { outputs: [output({ maxAbs: 3e-4, argmax: 0.5 }), output({ maxAbs: 2e-4, cosine: 0.98765 })] },
        text: 'max abs 3.0e-4, cosine 0.98765, argmax 50% (random inputs)',
      },
    ],
    [
      'an emulated engine is named as one',
      {
        changed: { emulated: true, inputs: '3 samples' },
        text: 'max abs 0.0e+0, cosine 1.00000, argmax 100% (3 samples, emulated)',
      },
    ],
    [
      'NaN is an infinite difference',
      {
        changed: { outputs: [output({ maxAbs: null })] },
        text: 'max abs Infinity, cosine 1.00000, argmax 100% (random inputs)',
      },
    ],
    [
      'a skipped comparison has its reason only',
      { changed: { skipped: 'the model has no inputs', outputs: [] }, text: 'not verified: the model has no inputs' },
    ],
    [
      'outputs that hold nothing to compare are named, and never counted as right',
      {
        changed: {
          outputs: [output(), output({ name: 'e', compared: 0 }), output({ name: 'n', compared: 0, nonFinite: 4 })],
        },
        text:
          'max abs 0.0e+0, cosine 1.00000, argmax 100% (random inputs), output "e" not verified: empty, ' +
          'output "n" not verified: NaN or infinite in the fp32 model already',
      },
    ],
  ])('%s', (_, { changed, text }) => {
    expect(verificationText(verification(changed))).toBe(text)
  })
})

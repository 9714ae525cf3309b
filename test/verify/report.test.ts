import { describe, expect, test, vi } from 'vitest'
import { compileOptions, resolveOptions } from '../../plugin/options/resolve.ts'
import type { Options } from '../../plugin/options/types.ts'
import type { LoweringReport } from '../../plugin/precision/lower.ts'
import { reportEngine } from '../../plugin/verify/report.ts'
import type { VerifyRequest } from '../../plugin/verify/request.ts'
import type { Verification } from '../../plugin/verify/verdict.ts'
import { verifyEngine } from '../../plugin/verify/verify.ts'

vi.mock('../../plugin/verify/verify.ts', () => ({ verifyEngine: vi.fn<typeof verifyEngine>() }))

const lowering: LoweringReport = {
  unit: 'nodes',
  total: 407,
  lowered: 379,
  changed: ['a'],
  kept: [{ name: 'b', operator: 'Mul', reason: 'listed in the option' }],
  notes: [],
  bytes: { before: 1000, after: 512 },
}
const right: Verification = {
  inputs: 'random inputs',
  tried: [],
  unvaried: { inputs: [], outputs: [] },
  outputs: [],
  emulated: false,
  failures: [],
  blame: [],
  spread: null,
  first: null,
}
const wrong: Verification = {
  ...right,
  failures: ['output "y" has cosine 0, less than 0.99'],
  blame: [{ name: 'scale', operator: 'Mul', readers: [] }],
}
const figures = 'max abs 0.0e+0, cosine 1.00000, argmax 100% (random inputs)'

type Told = Pick<Options, 'engine' | 'backends' | 'precision' | 'verify'> & { readonly label?: string }

/** What `reportEngine` logs and returns, after a comparison with this result. */
async function report(
  metadata: LoweringReport | null,
  verification: Verification | undefined,
  { label = '', engine = 'fp16', backends = 'auto', precision = {}, verify = {} }: Told = {},
) {
  vi.mocked(verifyEngine).mockResolvedValue(verification)
  const lines: string[] = []
  const request = {
    name: 'pose',
    backend: 'openvino',
    label,
    log: (line) => lines.push(line),
    model: {} as Partial<VerifyRequest['model']> as VerifyRequest['model'],
    options: compileOptions(resolveOptions({ engine, backends, precision, verify }), { file: '/p.onnx', query: {} }),
  } as Partial<VerifyRequest> as VerifyRequest
  return { ...(await reportEngine(request, metadata)), lines }
}

describe('report of an engine', () => {
  test('verify: false is in the line, with and without a lowering', async () => {
    const text = `not verified: the option 'verify' is false`
    const { lines } = await report(null, undefined, { verify: false })
    expect(lines).toEqual([`pose  fp16  openvino: ${text}`])
    const lowered = await report(lowering, undefined, { verify: false })
    expect(lowered.lines).toEqual([`pose  fp16  openvino: 93% of 407 nodes lowered, 1 kept, size 0.51x, ${text}`])
  })

  test.each<
    [title: string, { metadata: LoweringReport | null; verification?: Verification; line: string | undefined }]
  >([
    [
      'the lowered share, the kept nodes and the size come before the comparison',
      {
        metadata: lowering,
        verification: right,
        line: `pose  fp16  openvino: 93% of 407 nodes lowered, 1 kept, size 0.51x, ${figures}`,
      },
    ],
    [
      'without a comparison the line has the lowering only',
      { metadata: lowering, line: 'pose  fp16  openvino: 93% of 407 nodes lowered, 1 kept, size 0.51x' },
    ],
    [
      'an engine that the backend lowers by itself has the comparison only',
      { metadata: null, verification: right, line: `pose  fp16  openvino: ${figures}` },
    ],
    [
      'one fp32 node of many is never rounded away to 100%',
      {
        metadata: { ...lowering, total: 10_000, lowered: 9999 },
        line: 'pose  fp16  openvino: 99.9% of 10000 nodes lowered, 1 kept, size 0.51x',
      },
    ],
    [
      'a model without anything to lower is named as one',
      {
        metadata: { ...lowering, total: 0, lowered: 0, changed: [] },
        line: 'pose  fp16  openvino: nothing to lower, size 0.51x',
      },
    ],
    [
      'a pass that does not choose nodes has the size only',
      {
        metadata: { ...lowering, total: 0, lowered: 0, changed: undefined! },
        line: 'pose  fp16  openvino: size 0.51x',
      },
    ],
    ['nothing lowered and nothing compared has no line', { metadata: null, line: undefined }],
  ])('%s', async (_, { metadata, verification, line }) => {
    expect((await report(metadata, verification)).lines).toEqual(line === undefined ? [] : [line])
  })

  test('a label tells the engines of one backend apart', async () => {
    const { lines } = await report(lowering, undefined, { label: 'portable' })
    expect(lines).toEqual(['pose  fp16  openvino (portable): 93% of 407 nodes lowered, 1 kept, size 0.51x'])
  })

  test('with autoPin the nodes to blame are returned and logged', async () => {
    const { lines, pins } = await report(null, wrong, { precision: { autoPin: true } })
    expect([pins, lines.at(-1)]).toEqual([['scale'], 'pose: pinned to fp32: scale'])
  })

  test.each<[title: string, Told, pinned: boolean]>([
    [`fp16 with backends: 'auto'`, {}, true],
    ['fp16 of a backend that the user named', { backends: ['openvino'] }, false],
    ['int8 of a backend that the user named', { engine: 'int8', backends: ['openvino'] }, true],
  ])('%s: whether nodes to blame are pinned by default', async (_, options, pinned) => {
    const outcome = await report(null, wrong, options).then(
      ({ pins }) => pins,
      () => [],
    )
    expect(outcome).toEqual(pinned ? ['scale'] : [])
  })

  test.each<[title: string, { verification: Verification; precision: Options['precision'] }]>([
    ['with autoPin: false', { verification: wrong, precision: { autoPin: false } }],
    ['with autoPin and no node to blame', { verification: { ...wrong, blame: [] }, precision: { autoPin: true } }],
  ])('a failed comparison %s is an error', async (_, { verification, precision }) => {
    await expect(report(null, verification, { precision })).rejects.toMatchObject({
      code: 'VERIFICATION_FAILED',
      message: expect.stringContaining('output "y" has cosine 0, less than 0.99'),
    })
  })
})

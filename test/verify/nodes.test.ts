import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { compileOptions, resolveOptions } from '../../plugin/options/resolve.ts'
import type { Contest } from '../../plugin/verify/compare-candidate.ts'
import { compareNodes } from '../../plugin/verify/compare-nodes.ts'
import { compareValues, type ComparedValue } from '../../plugin/verify/compare-values.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { tempFolder } from '../support/helpers.ts'
import { onnxModel } from '../support/models.ts'

vi.mock('../../plugin/verify/compare-values.ts', () => ({
  compareValues: vi.fn<typeof compareValues>(),
  mostMarked: 4,
}))

const count = 10
const file = join(tempFolder(), 'chain.onnx')
writeFileSync(
  file,
  onnxModel({
    inputs: { x: 'float32[4]' },
    outputs: { v10: 'float32[4]' },
    nodes: Array.from({ length: count }, (_, index) => ({
      op: 'Neg',
      inputs: [index === 0 ? 'x' : `v${index}`],
      outputs: [`v${index + 1}`],
    })),
  }),
)

const contest = {
  request: { model: { file }, options: compileOptions(resolveOptions({}), { file, query: {} }) },
} as unknown as Contest

/** Makes a compiler that cannot give these values as outputs; returns the groups that it was asked for. */
function refusing(names: readonly string[], code: 'COMPILE_FAILED' | 'VERIFICATION_FAILED' | 'SAMPLES_INVALID') {
  const asked: string[][] = []
  vi.mocked(compareValues).mockImplementation(async (_, values) => {
    asked.push(values.map(({ name }) => name))
    if (values.some(({ name }) => names.includes(name))) throw new OnnxEngineError(code, 'no such output')
    return values.map((value) => ({
      ...value,
      comparison: { maxAbs: 0 },
      problem: undefined,
    })) as unknown as ComparedValue[]
  })
  return asked
}

const compare = () => compareNodes(contest, async () => ({}))

test('neighbours are outputs of different copies, and the result has the order of the nodes', async () => {
  const asked = refusing([], 'COMPILE_FAILED')
  const nodes = await compare()
  expect(nodes.map(({ name }) => name)).toEqual(Array.from({ length: count }, (_, index) => `v${index + 1}`))
  expect(asked).toEqual([
    ['v1', 'v4', 'v7', 'v10'],
    ['v2', 'v5', 'v8'],
    ['v3', 'v6', 'v9'],
  ])
})

test('a value that the compiler refuses has the reason, and all others are compared', async () => {
  refusing(['v5'], 'COMPILE_FAILED')
  const missing = (await compare()).filter(({ comparison }) => comparison === null)
  expect(missing).toMatchObject([{ name: 'v5', problem: expect.stringContaining('no such output') }])
})

test('when nothing can be compared, no smaller copy is tried', async () => {
  const asked = refusing(['v2', 'v3'], 'VERIFICATION_FAILED')
  expect((await compare()).filter(({ comparison }) => comparison === null)).toHaveLength(6)
  expect(asked).toHaveLength(3)
})

test('wrong samples end the comparison', async () => {
  refusing(['v1'], 'SAMPLES_INVALID')
  await expect(compare()).rejects.toMatchObject({ code: 'SAMPLES_INVALID' })
})

import { describe, expect, test } from 'vitest'
import { loadCorpus } from '../corpus/index.ts'
import { missingOpenVino } from '../support/openvino-models.ts'
import { orSkip } from '../support/python.ts'
import { deviations } from './deviations.ts'
import { refusedOperators } from './refusals.ts'
import refused from './refused.json' with { type: 'json' }
import { runCases } from './run-cases.ts'

// A slice of what `npm run test:operators` runs: it shows that the cases still run, and that nothing has become wrong.
const corpus = await orSkip('operator tests of the ONNX library', loadCorpus)
const names = (corpus?.records ?? [])
  .filter(({ name, sets }) => sets && !name.includes('_expanded'))
  .map(({ name }) => name)
  .filter((_, index) => index % 32 === 7)

describe.skipIf(!corpus)('operator tests of ONNX', () => {
  test.skipIf(missingOpenVino())('are right on OpenVINO, or are refused as docs/openvino.md says', async () => {
    const outcomes = await runCases('openvino', names)
    expect(
      outcomes.filter(({ name, result }) => result === 'wrong' && !Object.hasOwn(deviations.openvino, name)),
    ).toEqual([])
    expect(outcomes.filter(({ result }) => result === 'right').length).toBeGreaterThan(names.length / 3)
    const known = new Set(refused.map(({ operator, reason }) => `${operator}: ${reason}`))
    const found = refusedOperators(outcomes).map(({ operator, reason }) => `${operator}: ${reason}`)
    expect(found.filter((text) => !known.has(text))).toEqual([])
  })

  test('are right on ONNX Runtime, or are refused', async () => {
    const outcomes = await runCases('onnxruntime', names)
    const wrong = outcomes.filter(
      ({ name, result }) => result === 'wrong' && !Object.hasOwn(deviations.onnxruntime, name),
    )
    expect(wrong).toEqual([])
    expect(outcomes.filter(({ result }) => result === 'right').length).toBeGreaterThan(names.length / 2)
  })
})

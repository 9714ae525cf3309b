import { describe, expect, test } from 'vitest'
import { loadCorpus } from '../corpus/index.ts'
import { missingOpenVino } from '../support/openvino-models.ts'
import type { TestedBackend } from './contract.ts'
import { deviations } from './deviations.ts'
import { refusedOperators } from './refusals.ts'
import { runCases } from './run-cases.ts'

// Every operator test of ONNX, compiled, compared and run as a build does. With `--update` what is refused goes into
// refused.json, and `npm run docs` then writes the table of docs/openvino.md.

const names = (await loadCorpus()).records.filter(({ sets }) => sets).map(({ name }) => name)

async function outcomesOf(backend: TestedBackend) {
  const outcomes = await runCases(backend, names)
  const wrong = outcomes.filter(({ result }) => result === 'wrong').map(({ name }) => name)
  return { outcomes, wrong: wrong.sort() }
}

describe.skipIf(missingOpenVino())('every operator test of ONNX on OpenVINO', () => {
  test('is right, or is refused by name, but for known deviations', async () => {
    const { outcomes, wrong } = await outcomesOf('openvino')
    expect(outcomes).toHaveLength(names.length)
    expect(wrong).toEqual(Object.keys(deviations.openvino).sort())
    await expect(`${JSON.stringify(refusedOperators(outcomes), null, 2)}\n`).toMatchFileSnapshot('refused.json')
  })
})

describe('every operator test of ONNX on ONNX Runtime', () => {
  test('is right, or is refused by name, but for known deviations', async () => {
    const { outcomes, wrong } = await outcomesOf('onnxruntime')
    expect(outcomes).toHaveLength(names.length)
    expect(wrong).toEqual(Object.keys(deviations.onnxruntime).sort())
  })
})

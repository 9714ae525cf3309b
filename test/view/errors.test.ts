import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile, type Options } from 'unplugin-onnx'
import { expect, test } from 'vitest'
import { resolveOptions } from '../../plugin/options/resolve.ts'
import { cachedEngines } from '../../plugin/view/data/cached-engines.ts'
import { describeGraph } from '../../plugin/view/data/describe-graph.ts'
import { describeNodes } from '../../plugin/view/data/describe-nodes.ts'
import type { BackendName } from '../../runtime/manifest.ts'
import { tempFolder } from '../support/helpers.ts'
import { onnxModel } from '../support/models.ts'
import { missingTensorRtRtx } from '../support/tensorrt-library.ts'
import { lossyOptions, lossyNet } from './nets.ts'

/** The error of each node, by the report of a build whose verification failed and by what the page gets. */
async function errorsWith(backend: BackendName) {
  const folder = tempFolder()
  const file = join(folder, 'lossy.onnx')
  writeFileSync(file, onnxModel(lossyNet(backend === 'onnxruntime' ? 'weights' : 'activations')))
  const options: Options = { ...lossyOptions, root: folder, backends: [backend], cache: { dir: join(folder, 'cache') } }
  await expect(compile(file, options)).rejects.toMatchObject({ code: 'VERIFICATION_FAILED' })
  const resolved = resolveOptions(options)
  const [engine] = await cachedEngines([{ id: 'lossy.onnx', file }], resolved)
  if (engine === undefined) throw new Error('the engine is not in the cache')
  const reported = engine.errorParts.flatMap(({ first, last, count, share }) => {
    const [start = 0, end = 0] = [first, last].map((name) => Number(name.slice(1)))
    return Array.from({ length: end - start + 1 }, (_, index) => [start + index, (share ?? 0) / count] as const)
  })
  const facts = await describeNodes(engine, await describeGraph(file), resolved)
  const shown = facts.flatMap(({ node, error }) => (error === undefined ? [] : [[node, error] as const]))
  return { reported: new Map(reported), shown: new Map(shown) }
}

test('nodes have a share of the error that their weights make', async () => {
  const { reported, shown } = await errorsWith('onnxruntime')
  expect(shown.size).toBeGreaterThan(5)
  expect(shown).toEqual(reported)
})

test.skipIf(missingTensorRtRtx())('nodes have a share of the error that they make', async () => {
  const { reported, shown } = await errorsWith('tensorrt-rtx')
  expect(shown.size).toBeGreaterThan(5)
  expect(shown).toEqual(reported)
})

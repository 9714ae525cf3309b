import { mkdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import ort from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import type { Onnxruntime } from '../../plugin/measure/feed.ts'
import { loadGraph } from '../../plugin/onnx/graph.ts'
import { writeGraph } from '../../plugin/onnx/write.ts'
import { simplifyGraph } from '../../plugin/simplify/simplify-graph.ts'
import { checkModels, type CorpusRecord, loadCorpus } from '../corpus/index.ts'
import { caseTensor } from '../corpus/run.ts'
import { tempFolder } from '../support/helpers.ts'
import { orSkip } from '../support/python.ts'

const folder = tempFolder()
const corpus = await orSkip("simplification of the ONNX library's own test models", loadCorpus)
const inference = { ort: ort as unknown as Onnxruntime, folder }

// Their random numbers, or training, give other results in each run.
const unrepeatable = /random|bernoulli|multinomial|dropout/

describe.skipIf(!corpus)('simplified test models of the ONNX library', () => {
  test('give the same bits as the original on ONNX Runtime, and are valid', async () => {
    const out = join(folder, 'models')
    mkdirSync(out)
    const findings: Record<string, string> = {}
    let [compared, smaller] = [0, 0]
    for (const record of corpus!.records.filter(({ sets, name }) => sets && !unrepeatable.test(name))) {
      const source = corpus!.file(record)
      const model = await loadGraph(source)
      const before = model.proto.graph.node.length
      await simplifyGraph(model, { bytes: statSync(source).size, inference })
      if (model.proto.graph.node.length < before) smaller++
      const file = join(out, `${record.name}.onnx`)
      await writeGraph(model, file)
      await writeGraph(await loadGraph(source), join(folder, 'untouched.onnx'))
      if (readFileSync(file).equals(readFileSync(join(folder, 'untouched.onnx')))) {
        rmSync(file)
        continue
      }
      const expected = await run(source, record).catch(() => undefined)
      if (!expected) continue
      compared++
      const received = await run(file, record).catch((error: Error) => error.message.slice(0, 300))
      if (received !== expected) findings[record.name] = typeof received === 'string' ? received.slice(0, 300) : '?'
    }
    expect(findings).toEqual({})
    expect(compared).toBeGreaterThan(240)
    expect(smaller).toBeGreaterThan(190)
    expect(await checkModels(out)).toEqual({})
  }, 240_000)
})

/** Names, dims and bytes of all outputs, as text; undefined when a value cannot be fed. */
async function run(file: string, record: CorpusRecord): Promise<string | undefined> {
  const feeds = Object.fromEntries(
    record.inputs.map(({ name }, index) => [name, caseTensor(corpus!, record.sets![0]!.inputs[index]!)]),
  )
  if (Object.values(feeds).some((tensor) => tensor === undefined)) return undefined
  const session = await ort.InferenceSession.create(file, { logSeverityLevel: 4 })
  const results = await session.run(feeds as Record<string, ort.Tensor>)
  await session.release()
  return record.outputs.map(({ name }) => `${name} ${describeTensor(results[name]!)}`).join('\n')
}

function describeTensor({ type, dims, data }: ort.Tensor): string {
  if (type === 'string') return `${type} ${dims.join('x')} ${JSON.stringify(data)}`
  const { buffer, byteOffset, byteLength } = data as Uint8Array
  return `${type} ${dims.join('x')} ${Buffer.from(buffer, byteOffset, byteLength).toString('base64')}`
}

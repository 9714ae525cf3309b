import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { refuseKnownWrong } from '../../dist/plugin/backend/known-wrong.js'
import { knownWrong } from '../../dist/plugin/backend/openvino/known-wrong.js'
import type { ChildTask } from '../../dist/plugin/child/contract.js'
import { chooseEngines, type PlannedEngine } from '../../dist/plugin/compile/choose-engines.js'
import { loadGraph, scopesOf } from '../../dist/plugin/onnx/graph.js'
import { readModel, type Model } from '../../dist/plugin/onnx/model.js'
import { compileOptions, resolveOptions } from '../../dist/plugin/options/resolve.js'
import { selectBindings } from '../../dist/plugin/options/select-bindings.js'
import { run as simplify, type SimplifySettings } from '../../dist/plugin/simplify/simplify-child.js'
import { judge } from '../../dist/plugin/verify/verdict.js'
import type { VerifyResult, VerifySettings } from '../../dist/plugin/verify/verify-child.js'
import { createModel, OnnxEngineError, type ModelManifest } from '../../dist/runtime/index.js'
import type { Corpus, CorpusRecord } from '../corpus/index.ts'
import type { Outcome, TestedBackend } from './contract.ts'
import { differenceOf, inputsOf } from './values.ts'

/** The module of ONNX Runtime that comparisons run. */
const module = import.meta.resolve('onnxruntime-node')

/** Ends a case, with the step in which it was refused. */
class Refusal extends Error {
  readonly step: NonNullable<Outcome['step']>

  constructor(step: NonNullable<Outcome['step']>, reason: string) {
    super(reason)
    this.step = step
  }
}

/**
 * Builds a case as the plugin does, with the same steps, compares it as every build does, and runs it on the inputs of
 * ONNX. All in this process: a process for each step would take an hour for all cases.
 */
export async function runCase(corpus: Corpus, record: CorpusRecord, backend: TestedBackend): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'unplugin-onnx operator-'))
  const operators = await operatorsOf(corpus.file(record))
  try {
    const manifest = await build(corpus.file(record), backend, folder)
    const wrong = await compareWithExpected(corpus, record, manifest)
    return {
      name: record.name,
      operators,
      result: wrong === undefined ? 'right' : 'wrong',
      ...(wrong !== undefined && { reason: wrong }),
    }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return { name: record.name, operators, result: 'refused', step: error.step, reason: error.message }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A function of the step's own errors: anything else is a defect of ours. */
async function step<T>(name: NonNullable<Outcome['step']>, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    if (error instanceof OnnxEngineError) throw new Refusal(name, `${error.code}: ${error.message}`)
    throw error
  }
}

async function operatorsOf(file: string): Promise<readonly string[]> {
  const scopes = scopesOf(await loadGraph(file))
  return [...new Set(scopes.flatMap(({ graph }) => graph.node.map(({ opType }) => opType)))]
}

async function build(file: string, backend: TestedBackend, folder: string): Promise<ModelManifest> {
  const model = await step('read', async () => {
    const read = await readModel(file)
    selectBindings(read, { outputs: [], optionalInputs: [] }, 'case')
    return read
  })
  const options = compileOptions(resolveOptions({ backends: [backend] }, folder), { file, query: {} })
  const selected = { model, passes: [] }
  const models = { file, open: selected, fixed: selected }
  const { engines } = await step('plan', () => chooseEngines(models, options, { root: process.cwd(), target: 'node' }))
  const { requires } = engines[0]!.plan
  const output = join(folder, 'engine')
  const graph = engines[0]!.plan.simplify ? await simplified(model, backend, folder) : file
  // A node that is decomposed first is not refused.
  if (backend === 'openvino')
    await step('plan', async () => {
      await refuseKnownWrong('case', await loadGraph(graph), { backend, version: requires.version, knownWrong })
    })
  await step('compile', () => inProcess(engines[0]!, { model: graph, output }))
  const manifest = manifestOf(model, engines[0]!, output)
  if (backend === 'onnxruntime') return manifest
  const result = await step('compare', () => compare(model, manifest, folder))
  const [failure] = judge(result, { options })
  if (failure !== undefined) throw new Refusal('compare', `VERIFICATION_FAILED: ${failure}`)
  if (result.skipped !== undefined) throw new Refusal('compare', `NOT_COMPARED: ${result.skipped}`)
  return manifest
}

/** As in a build, a model that cannot be simplified is compiled as it is. */
async function simplified({ file, bindings, size }: Model, backend: TestedBackend, folder: string): Promise<string> {
  const output = join(folder, 'simplified.onnx')
  const settings: SimplifySettings = { module, bindings, backend, bytes: size }
  try {
    await simplify({ name: 'case', model: file, output, settings: { ...settings } }, () => {})
    return output
  } catch {
    return file
  }
}

async function inProcess({ plan }: PlannedEngine, job: { model: string; output: string }): Promise<void> {
  const { run } = (await import(plan.worker.href)) as { run: ChildTask }
  await run({ ...job, name: 'case', settings: plan.settings }, () => {})
}

async function compare({ file, bindings }: Model, manifest: ModelManifest, folder: string): Promise<VerifyResult> {
  const { run } = await import('../../dist/plugin/verify/verify-child.js')
  const output = join(folder, 'result.json')
  const settings: VerifySettings = {
    module,
    candidate: { manifest },
    opponent: 'the fp32 model',
    known: { dims: {}, bounds: [], values: {} },
    bindings,
    atol: null,
    rtol: null,
    noise: true,
  }
  await run({ name: 'case', model: file, output, settings: { ...settings } }, () => {})
  return JSON.parse(readFileSync(output, 'utf8')) as VerifyResult
}

function manifestOf({ bindings }: Model, { backend, plan }: PlannedEngine, file: string): ModelManifest {
  const bytes = readFileSync(file)
  const facts = { size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
  const variant = { backend, engine: 'fp32', file, ...facts, requires: plan.requires }
  return { schema: 1, name: 'case', bindings, variants: [variant as ModelManifest['variants'][number]] }
}

/** How the outputs differ from those that ONNX expects; undefined when they do not. */
async function compareWithExpected(
  corpus: Corpus,
  record: CorpusRecord,
  manifest: ModelManifest,
): Promise<string | undefined> {
  // Node.js 20 has no `await using`.
  const model = createModel(manifest)
  try {
    await step('open', () => model.load())
    for (const set of record.sets ?? []) {
      const inputs = inputsOf(corpus, record, set.inputs)
      const outputs = await step('call', () => model.infer(inputs as never))
      for (const [index, { name }] of record.outputs.entries()) {
        const difference = differenceOf(corpus, set.outputs[index]!, outputs[name]!, record)
        if (difference !== undefined) return `output ${JSON.stringify(name)} ${difference}`
      }
    }
    return undefined
  } finally {
    await model.dispose()
  }
}

import { open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { OnnxEngineError } from '../../../runtime/errors.ts'
import type { ModelManifest } from '../../../runtime/manifest.ts'
import type { ChildTask } from '../../child/contract.ts'
import { infer, type Onnxruntime, type Session } from '../../measure/feed.ts'
import { loadGraph } from '../../onnx/graph.ts'
import { firstAccepted } from '../../verify/accepted-inputs.ts'
import { inputRanges } from '../../verify/input-ranges.ts'
import type { KnownInputs } from '../../verify/random-inputs.ts'
import { type NodeTimes, type ProfileEvent, timesOf } from './node-times.ts'

/** What the process that measures nodes is given; its `model` is the engine. A type: it is sent to a process. */
export type ProfileSettings = {
  /** File URL of onnxruntime-node. */
  readonly module: string
  /** The .onnx file that the engine was made from. */
  readonly source: string
  readonly bindings: ModelManifest['bindings']
  readonly known: KnownInputs
}

/** Runs that count; one more comes before them. */
const runs = 5

/** Runs an engine with ONNX Runtime's profiler on random values, and writes NodeTimes. */
export const run: ChildTask = async ({ name, model, output, settings }) => {
  const { module, source, bindings, known } = settings as ProfileSettings
  const { default: ort } = (await import(module)) as { default: Onnxruntime }
  const ranges = inputRanges(await loadGraph(source))
  const knowledge = { bindings, known, ranges }
  const options = { logSeverityLevel: 4, extra: { session: { load_model_format: await formatOf(model) } } }
  const plain = await ort.InferenceSession.create(model, options)
  const found = await firstAccepted(knowledge, (sample) => infer(ort, plain, sample))
  await plain.release()
  if (typeof found === 'string')
    throw new OnnxEngineError('INFERENCE_FAILED', `${name}: its nodes cannot be measured: ${found}`, {
      hint: "Give the dims that it accepts with the option 'shapes', or values of inputs with 'profiles'",
    })
  const profiling = { ...options, enableProfiling: true, profileFilePrefix: output }
  const session = (await ort.InferenceSession.create(model, profiling)) as Session & { endProfiling(): void }
  for (let count = 0; count <= runs; count++) await infer(ort, session, found.sample)
  session.endProfiling()
  const file = await profileOf(output)
  const events = JSON.parse(await readFile(file, 'utf8')) as readonly ProfileEvent[]
  await rm(file)
  await writeFile(output, JSON.stringify({ runs, nodes: timesOf(events) } satisfies NodeTimes))
}

/** Files of the cache have no ending that tells. A flatbuffer of ONNX Runtime has this mark after its first offset. */
async function formatOf(file: string): Promise<'ORT' | 'ONNX'> {
  await using handle = await open(file)
  const { buffer } = await handle.read(Buffer.alloc(4), 0, 4, 4)
  return buffer.toString('latin1') === 'ORTM' ? 'ORT' : 'ONNX'
}

/** ONNX Runtime adds the time to the name that it is given. */
async function profileOf(prefix: string): Promise<string> {
  const names = await readdir(dirname(prefix))
  const name = names.find((item) => item.startsWith(`${basename(prefix)}_`) && item.endsWith('.json'))
  if (name === undefined) throw new Error('ONNX Runtime has written no profile')
  return join(dirname(prefix), name)
}

// One engine in a process of its own, for bench: opens it, then measures it on request.
import { readFile } from 'node:fs/promises'
import { deserialize } from 'node:v8'
import { createModel } from '../../runtime/model.ts'
import { feedsOf, type Onnxruntime } from '../measure/feed.ts'
import type { Sample } from '../samples/read.ts'
import type { EngineRequest, ManifestOpponent, Opponent, OpenTimes } from './contract.ts'
import { loopDelayDuring, measureCalls, timed } from './measure-calls.ts'
import { measureGpu, type TimedEngine } from './measure-gpu.ts'
import { answerRequests } from './measured-process.ts'

// As in an app that keeps its models private.
process.env['ORT_DISABLE_TELEMETRY'] ??= '1'

type Run = () => Promise<unknown>

let run: Run = async () => {}
let engine: TimedEngine | undefined

answerRequests<EngineRequest>(async (request) => {
  if (request.what === 'open') return openEngine(request.opponent, request.inputs)
  if (request.what === 'memory') return process.resourceUsage().maxRSS * 1024
  // Wakes the threads that slept while others were measured.
  await run()
  const { callers, calls } = request
  if (request.what === 'gpu') return engine ? measureGpu(engine, request) : null
  if (request.what === 'calls') return measureCalls(run, request, callers)
  return loopDelayDuring(calls, () => Promise.all(Array.from({ length: callers }, run)))
})

async function openEngine(opponent: Opponent, inputs: string): Promise<OpenTimes> {
  const sample = deserialize(await readFile(inputs)) as Sample
  if ('manifest' in opponent) engine = { opponent, sample }
  const start = performance.now()
  run = 'manifest' in opponent ? await openManifest(opponent, sample) : await openOnnx(opponent, sample)
  const load = performance.now() - start
  return { load, first: await timed(run) }
}

async function openManifest({ manifest, options }: ManifestOpponent, sample: Sample): Promise<Run> {
  const model = await createModel(manifest, options).load()
  const inputs = Object.fromEntries(sample) as never
  return () => model.infer(inputs)
}

async function openOnnx({ onnx, module, threads }: Extract<Opponent, { onnx: string }>, sample: Sample): Promise<Run> {
  const { default: ort } = (await import(module)) as { default: Onnxruntime }
  const options = { ...(threads !== undefined && { intraOpNumThreads: threads }) }
  const session = await ort.InferenceSession.create(onnx, options)
  const feeds = feedsOf(ort, sample)
  return () => session.run(feeds)
}

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ort from 'onnxruntime-node'
import { loadModel } from 'unplugin-onnx/runtime'
import { affineModel } from '../models.ts'
import { inTurn, loopDelayDuring, timed } from './measure.ts'
import { classifier, compiled, detector, inputOf, recogniser, workFolder, type BenchModel } from './models.ts'
import type { Row } from './row.ts'

const beside = 'onnxruntime-node'

/** Time per call, what the worker adds to it, what it leaves of the event loop, and many callers at once. */
export async function inferenceBench(): Promise<readonly Row[]> {
  const tiny: BenchModel = { file: join(workFolder, 'tiny.onnx'), input: 'x', dims: [1, 4] }
  writeFileSync(tiny.file, affineModel())
  return [
    await loopDelay(detector),
    await perCall('time per inference, detector 640x640', detector, 15, 1, { of: 'ratio', atMost: 1.05 }),
    await perCall('time per inference, recogniser 48x320', recogniser, 15, 4, { of: 'ratio', atMost: 1.05 }),
    await perCall('added time per inference, two nodes', tiny, 15, 500, { of: 'difference', atMost: 0.12 }),
    await callers(classifier, 16),
  ]
}

async function perCall(name: string, model: BenchModel, rounds: number, calls: number, aim: Row['aim']): Promise<Row> {
  const { ours, peer, close } = await open(model)
  const repeat = (run: () => Promise<unknown>) => async () => {
    const total = await timed(async () => {
      for (let call = 0; call < calls; call++) await run()
    })
    return total / calls
  }
  const times = await inTurn(rounds, repeat(ours), repeat(peer))
  await close()
  return { name, beside, ...times, unit: 'ms', aim }
}

async function callers(model: BenchModel, count: number): Promise<Row> {
  const { ours, peer, close } = await open(model)
  const together = () => timed(() => Promise.all(Array.from({ length: count }, ours)))
  const oneByOne = () => timed(async () => {
    for (let call = 0; call < count; call++) await peer()
  })
  const times = await inTurn(25, together, oneByOne)
  await close()
  return { name: `${count} callers at once, classifier, total`, beside: `${beside}, one after another`, ...times, unit: 'ms', aim: { of: 'ratio', atMost: 1.05 } }
}

async function loopDelay(model: BenchModel): Promise<Row> {
  const { ours, peer, close } = await open(model)
  const times = await inTurn(3, () => loopDelayDuring(20, ours), () => loopDelayDuring(20, peer))
  await close()
  return { name: 'event-loop delay (p99) while the detector runs', beside, ...times, unit: 'ms', aim: { of: 'ours', atMost: 5 } }
}

async function open(model: BenchModel): Promise<{ ours: () => Promise<unknown>; peer: () => Promise<unknown>; close: () => Promise<void> }> {
  const data = inputOf(model)
  const loaded = await loadModel(await compiled(model))
  const session = await ort.InferenceSession.create(model.file)
  const tensor = new ort.Tensor('float32', data, model.dims)
  const ours = () => loaded.infer({ [model.input]: { data, dims: model.dims } })
  await ours()
  return {
    ours,
    peer: () => session.run({ [model.input]: tensor }),
    close: async () => {
      await loaded.dispose()
      await session.release()
    },
  }
}

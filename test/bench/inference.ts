import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { affineModel } from '../support/models.ts'
import { classifier, compiled, detector, recogniser, workFolder, type BenchModel } from './models.ts'
import type { Row } from './row.ts'
import { sideBySide, type Sides } from './side.ts'

const beside = 'onnxruntime-node'

/** Time per call, time that the worker adds, delay of the event loop, and many callers at once. */
export async function inferenceBench(): Promise<readonly Row[]> {
  const tiny: BenchModel = { file: join(workFolder, 'tiny.onnx'), input: 'x', dims: [1, 4] }
  writeFileSync(tiny.file, affineModel())
  return [
    await loopDelay(detector),
    await perCall(detector, {
      name: 'time per inference, detector 640x640',
      rounds: 9,
      calls: 3,
      aim: { of: 'ratio', atMost: 1.05 },
    }),
    await perCall(recogniser, {
      name: 'time per inference, recogniser 48x320',
      rounds: 15,
      calls: 8,
      aim: { of: 'ratio', atMost: 1.05 },
    }),
    await perCall(tiny, {
      name: 'added time per inference, two nodes',
      rounds: 15,
      calls: 500,
      aim: { of: 'difference', atMost: 0.12 },
    }),
    await callers(classifier, 16),
  ]
}

interface PerCall extends Pick<Row, 'name' | 'aim'> {
  readonly rounds: number
  readonly calls: number
}

async function perCall(model: BenchModel, { name, rounds, calls, aim }: PerCall): Promise<Row> {
  const times = await sideBySide(await sides(model), rounds, { what: 'call', calls })
  return { name, beside, ...times, unit: 'ms', aim }
}

async function callers(model: BenchModel, calls: number): Promise<Row> {
  const { ours, peer } = await sideBySide(await sides(model), 25, { what: 'together', calls }, { what: 'call', calls })
  return {
    name: `${calls} callers at once, classifier, total`,
    beside: `${beside}, one after another`,
    ours,
    peer: peer * calls,
    unit: 'ms',
    aim: { of: 'ratio', atMost: 1.05 },
  }
}

async function loopDelay(model: BenchModel): Promise<Row> {
  const times = await sideBySide(await sides(model), 3, { what: 'delay', calls: 20 })
  return {
    name: 'event-loop delay (p99) while the detector runs',
    beside,
    ...times,
    unit: 'ms',
    aim: { of: 'ours', atMost: 5 },
  }
}

async function sides(model: BenchModel): Promise<Sides> {
  return { manifest: await compiled(model), backend: 'onnxruntime', model }
}

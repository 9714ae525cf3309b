import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { LoadOptions } from 'unplugin-onnx/runtime'
import { inTurn } from '../../plugin/bench/statistics.ts'
import { affineModel } from '../support/models.ts'
import { classifier, compiled, detector, recogniser, workFolder, type BenchModel } from './models.ts'
import type { Row } from './row.ts'
import { openSide, sideBySide, type Sides } from './side.ts'

const beside = 'onnxruntime-node'

/** Time per call, what we add to it, what it leaves of the event loop, many callers at once, memory and aborts. */
export async function inferenceBench(): Promise<readonly Row[]> {
  const tiny: BenchModel = { file: join(workFolder, 'tiny.onnx'), input: 'x', dims: [1, 4] }
  writeFileSync(tiny.file, affineModel())
  return [
    await loopDelay(detector),
    await perCall(detector, {
      name: 'time per inference, detector 640x640',
      rounds: 9,
      calls: 3,
      aim: { of: 'ratio', atMost: 1 },
    }),
    await perCall(recogniser, {
      name: 'time per inference, recogniser 48x320',
      rounds: 15,
      calls: 8,
      aim: { of: 'ratio', atMost: 1 },
    }),
    await perCall(tiny, {
      name: 'added time per inference, two nodes',
      rounds: 15,
      calls: 500,
      aim: { of: 'difference', atMost: 0.03 },
    }),
    await sync(tiny),
    await callers(classifier, 16),
    await callers(classifier, 16, { threads: 1, workers: availableParallelism() }),
    await memory(recogniser, 4),
    await abort(detector),
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

async function sync(model: BenchModel): Promise<Row> {
  const request = { what: 'call', calls: 500 } as const
  const times = await sideBySide(await sides(model), 15, { ...request, what: 'sync' }, request)
  return { name: 'time of inferSync(), two nodes', beside, ...times, unit: 'ms', aim: { of: 'ratio', atMost: 0.5 } }
}

async function memory(model: BenchModel, workers: number): Promise<Row> {
  const manifest = await compiled(model)
  const ours = openSide(manifest, model, 'onnxruntime', { workers })
  const peer = openSide(manifest, model, 'onnxruntime', { workers, session: 'worker' })
  try {
    const request = { what: 'memory', calls: workers * 2 } as const
    return {
      name: `memory of ${workers} runs at once, recogniser`,
      beside: `${workers} workers`,
      ours: await ours.measure(request),
      peer: await peer.measure(request),
      unit: 'MB',
      aim: { of: 'ratio', atMost: 0.5 },
    }
  } finally {
    ours.close()
    peer.close()
  }
}

async function abort(model: BenchModel): Promise<Row> {
  const manifest = await compiled(model)
  const ours = openSide(manifest, model, 'onnxruntime')
  const peer = openSide(manifest, model, 'onnxruntime', { session: 'worker' })
  try {
    const request = { what: 'abort', calls: 5 } as const
    const times = await inTurn(
      3,
      () => ours.measure(request),
      () => peer.measure(request),
    )
    return {
      name: 'processor time after an abort, detector',
      beside: 'a worker',
      ...times,
      unit: 'ms',
      aim: { of: 'ours', atMost: 50 },
    }
  } finally {
    ours.close()
    peer.close()
  }
}

async function callers(model: BenchModel, calls: number, options?: LoadOptions): Promise<Row> {
  const both = { ...(await sides(model)), options }
  const { ours, peer } = await sideBySide(both, 25, { what: 'together', calls }, { what: 'call', calls })
  return {
    name: `${calls} callers at once, classifier, total${options ? ', { threads: 1 }' : ''}`,
    beside: `${beside}, one after another`,
    ours,
    peer: peer * calls,
    unit: 'ms',
    aim: { of: 'ratio', atMost: 0.75 },
  }
}

async function loopDelay(model: BenchModel): Promise<Row> {
  const times = await sideBySide(await sides(model), 3, { what: 'delay', calls: 20 })
  return {
    name: 'event-loop delay (p99) while the detector runs',
    beside,
    ...times,
    unit: 'ms',
    aim: { of: 'ours', atMost: 1.5 },
  }
}

async function sides(model: BenchModel): Promise<Sides> {
  return { manifest: await compiled(model), backend: 'onnxruntime', model }
}

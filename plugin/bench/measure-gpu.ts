import { openVariant } from '../../runtime/open-variant.ts'
import type { GpuTimes } from '../../runtime/session.ts'
import type { Sample } from '../samples/read.ts'
import type { GpuLatency, ManifestOpponent } from './contract.ts'
import { measureCalls } from './measure-calls.ts'
import { type Latency, summarize } from './statistics.ts'

/** An engine, and the inputs of its calls. */
export interface TimedEngine {
  readonly opponent: ManifestOpponent
  readonly sample: Sample
}

/** Calls with the same shapes after which an engine is as fast as it gets: the second one records a CUDA graph. */
const warmUpCalls = 3

/**
 * Times what the GPU does in so many calls, as trtexec reports it: copies to the device, the engine, copies back. The
 * engine is opened a second time, with the events of CUDA that the other figures must not pay for. Null for a session
 * without a GPU.
 *
 * @throws OnnxEngineError NO_VARIANT, ARTIFACT_INVALID, INFERENCE_FAILED
 */
export async function measureGpu(
  { opponent: { manifest, options }, sample }: TimedEngine,
  { callers, calls }: { readonly callers: number; readonly calls: number },
): Promise<GpuLatency | null> {
  const { session } = await openVariant(manifest, '.', { ...options, timed: true })
  try {
    const run = () => session.infer(sample, {})
    for (let call = 0; call < warmUpCalls; call++) await run()
    session.takeGpuTimes?.()
    await measureCalls(run, { milliseconds: 0, calls }, callers)
    const times = session.takeGpuTimes?.() ?? []
    return times.length === 0 ? null : gpuLatency(times)
  } finally {
    await session.dispose()
  }
}

/** The figures of some times; there must be at least one. */
export function gpuLatency(times: readonly GpuTimes[]): GpuLatency {
  const latencyOf = (name: keyof GpuTimes): Latency => summarize(Float64Array.from(times, (each) => each[name]))
  return {
    hostToDevice: latencyOf('hostToDevice'),
    compute: latencyOf('compute'),
    deviceToHost: latencyOf('deviceToHost'),
  }
}

import { availableParallelism, cpus } from 'node:os'
import { cacheKey, type Json } from '../cache/key.ts'
import { storedJson } from '../cache/stored-json.ts'
import type { LoweringReport } from '../precision/lower.ts'
import { typicalSamples } from '../samples/find.ts'
import { runOnInputs } from '../samples/run.ts'
import { formatBytes } from '../text.ts'
import { knownInputs } from './random-inputs.ts'
import type { VerifyRequest } from './request.ts'
import type { Speed, SpeedSettings } from './speed-child.ts'

/** What an engine of lower precision gains over fp32 on this machine. A type: it is written as JSON. */
export type Gain = {
  readonly speed: Speed
  /** Bytes of the two engines. */
  readonly bytes: { readonly lowered: number; readonly fp32: number }
  /** Why it is worse than fp32: 'slower (8.10 ms, fp32 5.20 ms)'; empty when it is not. */
  readonly losses: readonly string[]
}

/** An engine, the size of its file in bytes, and the report of its lowering: null when nothing was lowered. */
export interface SizedEngine {
  readonly request: VerifyRequest
  readonly size: number
  readonly lowering: Json
}

/** Raised when the same engines give other times. */
const version = 2

/**
 * Runs an engine of lower precision and one of fp32 in turn on the first sample, or on random values without samples,
 * in a process of its own. The times are cached by both engines, the inputs and this CPU: a hit measures nothing, and
 * the verdict stays.
 *
 * @throws OnnxEngineError SAMPLES_INVALID, also when the model takes no random values; COMPILE_ABORTED, and what
 *   running the engines throws
 */
export async function measureGain(lowered: SizedEngine, fp32: SizedEngine): Promise<Gain> {
  const { request } = lowered
  const { name, model, store, signal, key, importKey, options } = request
  const samples = await typicalSamples(request)
  const known = knownInputs(options)
  const facts = {
    gain: version,
    engine: key.digest,
    fp32: fp32.request.key.digest,
    samples: samples?.digest ?? `random ${JSON.stringify(known)}`,
    ...thisCpu(),
  }
  const entry = { key: cacheKey(facts), importKey: `${importKey} speed`, label: name, signal }
  const speed = (await storedJson(store, entry, () => {
    const engines = { lowered: request.manifest, fp32: fp32.request.manifest }
    const settings = { ...engines, known } satisfies SpeedSettings
    return runOnInputs(worker, samples?.source, { name, settings, signal, model: model.file })
  })) as Speed
  const bytes = { lowered: lowered.size, fp32: fp32.size }
  return { speed, bytes, losses: lossesOf({ speed, bytes }, lowered.lowering as LoweringReport | null) }
}

/** What times depend on besides the engines. */
export function thisCpu(): { readonly cpu: string; readonly threads: number } {
  return { cpu: cpus()[0]?.model ?? '', threads: availableParallelism() }
}

const worker = new URL('./speed-child.js', import.meta.url)

// A verdict must not change with the load of the machine: what noise explains is no loss.
const noise = { ratio: 1.05, rounds: 0.67, milliseconds: 0.05, size: 1.01, bytes: 65_536 }

/** Below this share of nodes in the lower precision, an engine is fp32 in all but name. */
const leastLowered = 0.1

/** Why an engine is worse than one of fp32, one phrase each. */
export function lossesOf({ speed, bytes }: Omit<Gain, 'losses'>, lowering: LoweringReport | null): readonly string[] {
  const { lowered, fp32, ratio, slowerRounds } = speed
  const isSlower = ratio > noise.ratio && slowerRounds >= noise.rounds && (ratio - 1) * fp32 > noise.milliseconds
  const times = `${lowered.toPrecision(3)} ms, fp32 ${fp32.toPrecision(3)} ms on this CPU`
  return [...(isSlower ? [`slower (${times})`] : []), ...lossesWithoutTime(bytes, lowering)]
}

/** The same, whatever its time. */
export function lossesWithoutTime(bytes: Gain['bytes'], lowering: LoweringReport | null): readonly string[] {
  const isLarger = bytes.lowered > bytes.fp32 * noise.size && bytes.lowered - bytes.fp32 > noise.bytes
  const { lowered: changed, total } = lowering ?? { lowered: 0, total: 0 }
  return [
    ...(isLarger ? [`larger (${formatBytes(bytes.lowered)}, fp32 ${formatBytes(bytes.fp32)})`] : []),
    ...(changed < leastLowered * total ? [`fp32 in ${total - changed} of ${total} nodes`] : []),
  ]
}

/** Whether an engine is clearly faster than one of fp32. */
export function isFaster({ speed: { ratio, slowerRounds } }: Gain): boolean {
  return ratio < 1 / noise.ratio && slowerRounds <= 1 - noise.rounds
}

/** '1.85 times as fast as fp32 (5.10 ms, fp32 9.40 ms on this CPU)'. */
export function speedText({ speed: { lowered, fp32, ratio } }: Gain): string {
  const times = `${lowered.toPrecision(3)} ms, fp32 ${fp32.toPrecision(3)} ms on this CPU`
  return `${(1 / ratio).toFixed(2)} times as fast as fp32 (${times})`
}

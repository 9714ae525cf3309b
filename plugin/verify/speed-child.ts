import { writeFile } from 'node:fs/promises'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { ModelManifest } from '../../runtime/manifest.ts'
import type { ChildJob, ChildTask } from '../child/contract.ts'
import { median } from '../measure/numbers.ts'
import { loadGraph } from '../onnx/graph.ts'
import { readSamples, type Sample } from '../samples/read.ts'
import type { SampleSource } from '../samples/source.ts'
import { firstAccepted } from './accepted-inputs.ts'
import { inputRanges } from './input-ranges.ts'
import { openEngine, type Opened } from './opened.ts'
import type { KnownInputs } from './random-inputs.ts'

/** Settings for the speed measurement. */
export interface SpeedSettings {
  /** Absent: random values. */
  readonly source?: SampleSource
  /** Dims and values that the options give, for random values. */
  readonly known: KnownInputs
  readonly lowered: ModelManifest
  readonly fp32: ModelManifest
}

/** How long two engines took for the first sample. A type, not an interface: it is kept as JSON. */
export type Speed = {
  /** Milliseconds of one inference, the median of the rounds. */
  readonly lowered: number
  readonly fp32: number
  /** Time of the lowered engine as a share of that of fp32 in the same round, the median of the rounds. */
  readonly ratio: number
  /** Rounds in which the lowered engine took longer, as a share. */
  readonly slowerRounds: number
}

const least = { rounds: 9, milliseconds: 600 }

/** For times that vary by more than they differ. */
const most = { rounds: 41, milliseconds: 4000 }

/** Milliseconds of one turn: a timer and a busy core weigh less in several calls than in one of microseconds. */
const turn = 4

/**
 * Runs two engines in turn on the first sample, so that both see the same load of the machine, and writes their times
 * as JSON. Each round swaps the order.
 */
export const run: ChildTask = async (job, log) => {
  const { source, lowered, fp32 } = job.settings as unknown as SpeedSettings
  const [first, second] = [await openEngine(lowered), await openEngine(fp32)]
  const samples = source
    ? readSamples({ ...source, limit: 1 }, (state) => log('info', state))
    : randomInputs(job, second)
  for await (const sample of samples) {
    const contenders = [() => first.infer(sample), () => second.infer(sample)] as const
    await writeFile(job.output, JSON.stringify(await compareTimes(...contenders)))
  }
  await Promise.all([first.dispose(), second.dispose()])
}

/** One sample that the engine of fp32 accepts. */
async function* randomInputs({ name, model, settings }: ChildJob, fp32: Opened): AsyncGenerator<Sample> {
  const { known, lowered } = settings as unknown as SpeedSettings
  const knowledge = { bindings: lowered.bindings, known, ranges: inputRanges(await loadGraph(model)) }
  const found = await firstAccepted(knowledge, (sample) => fp32.infer(sample))
  if (typeof found === 'string')
    throw new OnnxEngineError('SAMPLES_INVALID', `${name}: its speed cannot be measured: ${found}`, {
      hint: `Give samples by the option 'calibration' or 'verify.samples'`,
    })
  yield found.sample
}

type Call = () => Promise<unknown>

async function compareTimes(lowered: Call, fp32: Call): Promise<Speed> {
  // The first calls allocate memory.
  const warm = Math.max(await timeOf(lowered, 2), await timeOf(fp32, 2))
  const calls = Math.max(1, Math.min(200, Math.ceil(turn / warm)))
  const rounds: Round[] = []
  const start = performance.now()
  const elapsed = () => performance.now() - start
  const needsMore = () =>
    rounds.length < least.rounds ||
    elapsed() < least.milliseconds ||
    (isUnclear(rounds) && elapsed() < most.milliseconds)
  while (rounds.length < most.rounds && needsMore()) {
    const swapped = rounds.length % 2 === 1
    const before = swapped ? await timeOf(fp32, calls) : undefined
    const time = await timeOf(lowered, calls)
    rounds.push({ lowered: time, fp32: before ?? (await timeOf(fp32, calls)) })
  }
  return {
    lowered: median(rounds.map((round) => round.lowered)),
    fp32: median(rounds.map((round) => round.fp32)),
    ratio: ratioOf(rounds),
    slowerRounds: slowerShare(rounds),
  }
}

interface Round {
  readonly lowered: number
  readonly fp32: number
}

function ratioOf(rounds: readonly Round[]): number {
  return median(rounds.map((round) => round.lowered / round.fp32))
}

function slowerShare(rounds: readonly Round[]): number {
  return rounds.filter((round) => round.lowered > round.fp32).length / rounds.length
}

/** Whether the median differs, but many rounds say the opposite: another program takes the CPU now and then. */
function isUnclear(rounds: readonly Round[]): boolean {
  const share = slowerShare(rounds)
  return Math.abs(ratioOf(rounds) - 1) > 0.05 && share > 0.2 && share < 0.8
}

/** Milliseconds of one call, the mean of some. */
async function timeOf(call: Call, calls: number): Promise<number> {
  const start = performance.now()
  for (let at = 0; at < calls; at++) await call()
  return (performance.now() - start) / calls
}

import type { Options } from 'unplugin-onnx'
import type { Comparison } from '../../plugin/measure/compare.ts'
import { compareCandidate, type Contest } from '../../plugin/verify/compare-candidate.ts'
import { shareOfLimits, thresholdOf } from '../../plugin/verify/limits.ts'
import { compareLowered } from '../../plugin/verify/lowered-candidate.ts'
import { runsHere } from '../../plugin/verify/request.ts'
import { contestsOf } from '../support/contest.ts'
import type { Net } from './nets.ts'

/** How far one engine is from the fp32 model: of several outputs, the worst of each figure. */
export interface Figures {
  readonly engine: string
  readonly inputs: string
  /** Largest difference as a share of the output's largest magnitude. */
  readonly error: number
  readonly cosine: number
  /** How far the length of an output is from the expected one. */
  readonly length: number
  /** Share of rows with the same largest element; of probabilities, only of clear ones. */
  readonly decisions: number
  /** Of the nearest limit. */
  readonly share: number
}

/** The figures of every engine that a backend makes; a text says why there is none. */
export async function figuresOf(net: Net, options: Options, folder: string): Promise<readonly Figures[] | string> {
  try {
    const figures: Figures[] = []
    for (const contest of await contestsOf(net.file, options, folder)) figures.push(await measure(contest))
    return figures
  } catch (error) {
    return (error as Error).message.split('\n')[0]!
  }
}

async function measure(contest: Contest): Promise<Figures> {
  const { request } = contest
  const isEmulated = !runsHere.has(request.backend)
  const result = isEmulated
    ? await compareLowered(contest, [])
    : await compareCandidate(contest, { manifest: request.manifest })
  if (result.skipped !== undefined) throw new Error(result.skipped)
  const { backend, label, options } = request
  const threshold = thresholdOf(request) as Parameters<typeof shareOfLimits>[1]
  const worst = (figure: (output: Comparison) => number) => Math.max(...result.outputs.map(figure))
  return {
    engine: [backend, options.engine, label, isEmulated && 'emulated'].filter(Boolean).join(' '),
    inputs: result.inputs,
    error: worst(({ maxAbs, largest }) => (maxAbs === 0 ? 0 : (maxAbs ?? Infinity) / largest)),
    cosine: 1 - worst(({ cosine }) => 1 - cosine),
    length: worst(({ norm }) => Math.abs(norm - 1)),
    decisions: 1 - worst((output) => 1 - decisionsOf(output)),
    share: worst((output) => shareOfLimits(output, threshold)),
  }
}

function decisionsOf({ decided, sameDecided, argmax }: Comparison): number {
  return decided > 0 ? sameDecided / decided : argmax
}

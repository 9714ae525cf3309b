import type { Precision } from '../../runtime/manifest.ts'
import type { Comparison } from '../measure/compare.ts'
import { type Objects, sharedObjects } from '../measure/objects.ts'
import { quote } from '../text.ts'
import type { VerifyRequest } from './request.ts'

/** Limits of one precision, where the user sets none. */
interface Limits {
  /** Least cosine between an output and that of the fp32 model. */
  readonly cosine: number
  /** Largest difference of two elements, as a share of the output's largest magnitude. */
  readonly maxError: number
  /** Least share of clear decisions of a probability distribution that stay the same. */
  readonly decided: number
  /** Largest share of the symbols of decoded texts that change. */
  readonly edits?: number
  /** Largest difference beyond a hundredth of each element, as a share of the output's largest magnitude. */
  readonly excess?: number
}

/**
 * docs/precision-measurements.md has the figures of right and of wrong engines of real networks that justify these. In
 * lower precision the cosine and the decisions tell them apart. Single elements do so in fp32 only: where an output has
 * sharp edges, as the map of a text detector, a right engine in bf16 changes elements by the whole range.
 */
const defaults: Readonly<Record<'samples' | 'random', Readonly<Record<Precision, Limits>>>> = {
  samples: {
    fp32: { cosine: 0.99999, maxError: 2e-4, decided: 0.999, excess: 2e-5 },
    fp16: { cosine: 0.999, maxError: 0.6, decided: 0.98, edits: 0.02 },
    bf16: { cosine: 0.99, maxError: 1, decided: 0.95, edits: 0.05 },
    int8: { cosine: 0.98, maxError: 1, decided: 0.9, edits: 0.1 },
    'int8-weights': { cosine: 0.99, maxError: 1, decided: 0.95, edits: 0.05 },
    'int4-weights': { cosine: 0.95, maxError: 1, decided: 0.9, edits: 0.1 },
  },
  random: {
    fp32: { cosine: 0.9999, maxError: 5e-4, decided: 0.99, excess: 5e-5 },
    fp16: { cosine: 0.99, maxError: 0.5, decided: 0.95 },
    bf16: { cosine: 0.95, maxError: 1, decided: 0.9 },
    int8: { cosine: 0.95, maxError: 1, decided: 0.8 },
    'int8-weights': { cosine: 0.95, maxError: 1, decided: 0.9 },
    'int4-weights': { cosine: 0.9, maxError: 1, decided: 0.8 },
  },
}

/**
 * Differences of probabilities that mean nothing. A text detector finds nothing in random inputs: of probabilities up
 * to 0.013, rounding to bf16 changes 0.009, and to int8 weights 0.036.
 */
const negligible: Readonly<Record<Precision, number>> = {
  fp32: 0,
  fp16: 0.002,
  bf16: 0.02,
  'int8-weights': 0.05,
  int8: 0.05,
  'int4-weights': 0.05,
}

/** Least share of the objects of a detector that both find. */
const leastObjects: Readonly<Record<Precision, number>> = {
  fp32: 0.99,
  fp16: 0.97,
  bf16: 0.95,
  'int8-weights': 0.95,
  int8: 0.9,
  'int4-weights': 0.9,
}

/**
 * Sums in another order differ by this much more than the fp32 model differs from itself: two libraries order sums in
 * more ways than one library with and without its optimisations.
 */
const noiseFactor = 16

/** Share of integers that may differ in fp32: where a network compares, two nearly equal numbers may change places. */
const changedIntegers = 0.005

/** What decides whether an output is close enough. */
export interface Threshold extends Partial<Limits> {
  readonly precision: Precision
  /** Least share of rows with the same largest element, from the user. */
  readonly argmax: number
  /** Least share of the objects of a detector that both find. */
  readonly objects?: number
}

/** From the narrowest limits to the widest. */
const byWidth: readonly Precision[] = ['fp32', 'fp16', 'bf16', 'int8-weights', 'int8', 'int4-weights']

/** The precision with the wider limits: two engines may differ by as much as the coarser one from the fp32 model. */
function coarser(one: Precision, other: Precision): Precision {
  return byWidth.indexOf(one) > byWidth.indexOf(other) ? one : other
}

/** What decides about the limits of a request. */
export type JudgedRequest = Pick<VerifyRequest, 'options' | 'against'> & {
  readonly model?: Pick<VerifyRequest['model'], 'rounds'>
}

/**
 * The least limits of a model that is quantized already: where one library rounds a sum to another integer than the
 * next one, the numbers behind it move by a step.
 */
const quantizedModel: Precision = 'fp16'

/**
 * The thresholds of a request. What the user sets replaces the defaults as a whole, and a metric all of them. Of two
 * engines, the coarser precision decides.
 */
export function thresholdOf({ options, against, model }: JudgedRequest): Threshold {
  const { engine, verify, calibration } = options
  const least = model?.rounds === undefined ? 'fp32' : quantizedModel
  const precision = coarser(coarser(engine, least), against?.options.engine ?? 'fp32')
  const { samples = calibration, argmax = 0, cosine, maxError, atol, rtol, metric } = verify || {}
  const own = {
    precision,
    argmax,
    ...(cosine !== undefined && { cosine }),
    ...(maxError !== undefined && { maxError }),
  }
  // What the user allows of distances says nothing of objects.
  const objects = metric === undefined ? { objects: leastObjects[precision] } : {}
  const isOwn = [cosine, maxError, atol, rtol].some((limit) => limit !== undefined)
  const limits = defaults[samples ? 'samples' : 'random'][precision]
  if (metric !== undefined) return own
  return isOwn ? { cosine: limits.cosine, ...objects, ...own } : { ...limits, ...objects, ...own }
}

/** Why an output is too far from that of the fp32 model; undefined when it is close enough. */
export function problemOf(output: Comparison, threshold: Threshold): string | undefined {
  const { trouble, maxAbs, argmax, outside } = output
  if (trouble !== undefined) return trouble
  if (output.objects) return objectsProblem(output.objects, threshold)
  if (maxAbs === null) return 'has NaN or infinity where the fp32 model has numbers'
  const distance = output.discrete ? changeProblem(output, threshold) : distanceProblem(output, threshold, maxAbs)
  if (distance !== undefined) return distance
  if (argmax < threshold.argmax) {
    return `has the same largest element in ${percent(argmax)} of its rows, less than ${percent(threshold.argmax)}`
  }
  return outside ? `has ${outside} elements beyond atol and rtol` : undefined
}

function objectsProblem(objects: Objects, { objects: least }: Threshold): string | undefined {
  if (least === undefined || sharedObjects(objects) >= least) return undefined
  const { matched, expected, received } = objects
  return `is of ${received} objects, ${matched} of them among the ${expected} of the fp32 model`
}

/** Integers, bools and text: fp32 must not change them; in lower precision a decision may change. */
function changeProblem({ argmax, noise }: Comparison, { precision }: Threshold): string | undefined {
  if (precision !== 'fp32') return undefined
  const changed = 1 - argmax
  const allowed = Math.max(changedIntegers, 4 * (1 - (noise?.argmax ?? 1)))
  return changed > allowed ? `has other values in ${percent(changed)} of its elements` : undefined
}

function distanceProblem(output: Comparison, threshold: Threshold, maxAbs: number): string | undefined {
  const { cosine, norm, largest, noise, decided, sameDecided, text, excess } = output
  const allowedByNoise = noiseFactor * (noise?.maxAbs ?? 0)
  if (maxAbs <= allowedByNoise || isNegligible(output, threshold, maxAbs)) return undefined
  if (threshold.cosine !== undefined && cosine < threshold.cosine) {
    return `has cosine ${Number(cosine.toFixed(12))}, less than ${threshold.cosine}`
  }
  // Vectors of one length at that angle are this far apart.
  const spread = Math.sqrt(2 * (1 - (threshold.cosine ?? 1)))
  if (threshold.cosine !== undefined && Math.abs(norm - 1) > spread) {
    return `is ${norm.toPrecision(4)} times as large as in fp32, more than ${spread.toPrecision(2)} off`
  }
  if (threshold.maxError !== undefined && maxAbs > threshold.maxError * largest) {
    const error = `${maxAbs.toExponential(1)} of ${largest.toPrecision(3)}`
    return `differs by ${error}, more than ${Number(threshold.maxError.toPrecision(3))} of its largest element`
  }
  if (threshold.excess !== undefined && excess > Math.max(threshold.excess * largest, allowedByNoise)) {
    const error = `${excess.toExponential(1)} more than a hundredth of an element`
    return `differs by ${error}, with ${largest.toPrecision(3)} as its largest element`
  }
  if (threshold.decided !== undefined && decided > 0 && sameDecided / decided < threshold.decided) {
    const share = `${percent(sameDecided / decided)} of its clear decisions`
    return `keeps ${share}, less than ${percent(threshold.decided)}`
  }
  if (text && threshold.edits !== undefined && text.edits > threshold.edits * text.symbols) {
    const change = `${text.edits} of the ${text.symbols} symbols of its text`
    return `changes ${change}, more than ${percent(threshold.edits)}`
  }
  return undefined
}

/**
 * How much of the nearest limit an output uses: 0 for what the noise of the fp32 model explains, 1 at the limit,
 * Infinity for what no limit allows. Only of the limits of its precision, not of those of the user.
 */
export function shareOfLimits(output: Comparison, threshold: Limits & Pick<Threshold, 'precision' | 'argmax'>): number {
  const { trouble, maxAbs, cosine, norm, largest, noise, decided, sameDecided, discrete, compared, excess } = output
  if (trouble !== undefined || maxAbs === null) return Infinity
  if (discrete || compared === 0 || maxAbs <= noiseFactor * (noise?.maxAbs ?? 0)) return 0
  if (isNegligible(output, threshold, maxAbs)) return 0
  return Math.max(
    (1 - cosine) / (1 - threshold.cosine),
    Math.abs(norm - 1) / Math.sqrt(2 * (1 - threshold.cosine)),
    maxAbs / (threshold.maxError * largest),
    threshold.excess === undefined ? 0 : excess / (threshold.excess * largest),
    decided > 0 ? (1 - sameDecided / decided) / (1 - threshold.decided) : 0,
  )
}

/** Only where the user sets no limits: those replace the limit of decisions. */
function isNegligible({ probability }: Comparison, { precision, decided }: Threshold, maxAbs: number): boolean {
  return probability === true && decided !== undefined && maxAbs <= negligible[precision]
}

/** A share as a percentage that says 100% only for all. */
export function percent(part: number): string {
  return `${part === 1 ? 100 : Math.min(99.9, part * 100).toFixed(part > 0.99 ? 1 : 0)}%`
}

/** 'output "y" differs by ...': one line for each output that is too far. */
export function failuresOf(outputs: readonly Comparison[], threshold: Threshold): string[] {
  return outputs.flatMap((output) => {
    const problem = problemOf(output, threshold)
    return problem === undefined ? [] : [`output ${quote(output.name)} ${problem}`]
  })
}

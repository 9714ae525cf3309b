import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Precision } from '../../runtime/manifest.ts'
import type { Comparison } from '../measure/compare.ts'
import type { PassRequest } from '../precision/pass.ts'
import { quote } from '../text.ts'
import type { Part } from './blame.ts'
import type { Culprit } from './culprits.ts'
import type { VerifyResult } from './verify-child.ts'

/**
 * Least cosine where the user says nothing: a net that lost a layer is far below, rounding alone is far above. Random
 * inputs look like nothing that a net was made for: a text detector finds nothing in them, and next to zero its
 * rounding weighs more (0.9986 in fp16 and 0.967 in bf16, with 0.9999 and 0.9989 on images).
 */
const leastCosine: Readonly<Record<'samples' | 'random', Readonly<Record<Precision, number>>>> = {
  samples: { fp32: 1, fp16: 0.999, bf16: 0.99, int8: 0.98, 'int8-weights': 0.99 },
  random: { fp32: 1, fp16: 0.99, bf16: 0.95, int8: 0.95, 'int8-weights': 0.95 },
}

/** What is further away than the options allow, a line for each output. */
export function judge({ outputs }: VerifyResult, { options: { engine, verify, calibration } }: PassRequest): string[] {
  const {
    samples = calibration,
    argmax = 0,
    cosine = leastCosine[samples ? 'samples' : 'random'][engine],
  } = verify || {}
  return outputs.flatMap((output) => {
    const problem = problemOf(output, cosine, argmax)
    return problem === undefined ? [] : [`output ${quote(output.name)} ${problem}`]
  })
}

/**
 * How far the outputs are from those of the fp32 model, as the largest squared distance of one in halves of its squared
 * length. Errors that do not depend on each other add up.
 */
export function distanceOf({ outputs }: VerifyResult): number {
  const distances = outputs.map(({ trouble, maxAbs, cosine, norm }) =>
    trouble !== undefined || maxAbs === null ? Infinity : 1 - cosine + (norm - 1) ** 2 / 2,
  )
  return Math.max(0, ...distances)
}

/**
 * The error of samples on which an output of the fp32 model has no finite number, so that nothing can be said of an
 * engine; undefined when all have.
 */
export function unusableReference(
  { name }: PassRequest,
  { inputs, outputs }: VerifyResult,
): OnnxEngineError | undefined {
  const broken = outputs.find(({ compared, nonFinite }) => compared === 0 && nonFinite > 0)
  if (!broken) return undefined
  return new OnnxEngineError('VERIFICATION_FAILED', `${name}: output ${quote(broken.name)} on ${inputs}`, {
    expected: 'numbers from the fp32 model',
    received: `NaN or infinity in all ${broken.nonFinite} elements before anything was lowered`,
    hint: 'Check the samples, or the model itself with ?engine=fp32',
  })
}

/** The error of an engine that is too far from the fp32 model: a table of its outputs, and the nodes to blame. */
export function verificationError(
  { name, options: { engine }, backend }: PassRequest,
  { inputs, failures, blame, spread, outputs, emulated }: Verification,
): OnnxEngineError {
  const table = outputs.map((output) => `  ${rowOf(output)}`)
  const well = `\nIn fp32 this would be well: ${blame.slice(0, 20).map(culpritText).join(', ')}${blame.length > 20 ? ` and ${blame.length - 20} more` : ''}`
  const nodes = spread ? `\n${spreadText(spread, blame.length)}` : blame.length > 0 ? well : ''
  const where = `${name}: engine=${engine} on ${backend}${emulated ? ' (emulated)' : ''} differs from the fp32 model on ${inputs}: ${failures.join('; ')}\n${table.join('\n')}${nodes}\n`
  return new OnnxEngineError('VERIFICATION_FAILED', where, {
    hint:
      blame.length > 0 && !spread
        ? `List them in the option 'precision.fp32', set 'precision.autoPin', or allow more by 'verify'`
        : `Use another precision, or allow more by the option 'verify'`,
  })
}

/**
 * What a comparison found, for the line of a model: 'max abs 3.0e-4, cosine 0.99999, argmax 100% (random inputs)'. It
 * never speaks of outputs that hold nothing to compare as if they were well.
 */
export function verificationText({ skipped, outputs, inputs, emulated }: Verification): string {
  if (skipped !== undefined) return `not verified: ${skipped}`
  const compared = outputs.filter((output) => output.compared > 0 || output.trouble !== undefined)
  const others = outputs
    .filter((output) => !compared.includes(output))
    .map(
      ({ name, nonFinite }) =>
        `, output ${quote(name)} not verified: ${nonFinite > 0 ? 'NaN or infinite in the fp32 model already' : 'empty'}`,
    )
  const worst = compared.map(({ maxAbs }) => maxAbs ?? Infinity).reduce((most, value) => Math.max(most, value), 0)
  const [cosine, argmax] = [
    Math.min(1, ...compared.map((output) => output.cosine)),
    Math.min(1, ...compared.map((output) => output.argmax)),
  ]
  return `max abs ${worst.toExponential(1)}, cosine ${cosine.toFixed(5)}, argmax ${percent(argmax)} (${inputs}${emulated ? ', emulated' : ''})${others.join('')}`
}

/** A share as a percentage that says 100% only of all. */
export function percent(part: number): string {
  return `${part === 1 ? 100 : Math.min(99.9, part * 100).toFixed(part > 0.99 ? 1 : 0)}%`
}

// 'scale (Mul)', 'weight.3 (read by MatMul b)'
function culpritText({ name, operator, readers }: Culprit): string {
  const told =
    operator === 'initializer'
      ? `read by ${readers.slice(0, 3).join(', ')}${readers.length > 3 ? ` and ${readers.length - 3} more` : ''}`
      : operator
  return told === '' ? name : `${name} (${told})`
}

function spreadText({ of, worst }: Spread, needed: number): string {
  const parts = worst.map(
    ({ first, last, count, share }) => `${first} to ${last} (${count}${share === null ? '' : `, ${percent(share)}`})`,
  )
  return `The loss is spread over many nodes or weights: ${needed} of ${of} would have to stay in fp32. Most is lost from ${parts.join(', ')}`
}

function problemOf(
  { trouble, maxAbs, cosine, norm, argmax, outside }: Comparison,
  leastCosine: number,
  leastArgmax: number,
): string | undefined {
  if (trouble !== undefined) return trouble
  if (maxAbs === null) return 'has NaN or infinity where the fp32 model has numbers'
  if (cosine < leastCosine) return `has cosine ${Number(cosine.toFixed(12))}, less than ${leastCosine}`
  // Vectors of one length at that angle are this far apart.
  const spread = Math.sqrt(2 * (1 - leastCosine))
  if (Math.abs(norm - 1) > spread)
    return `is ${norm.toPrecision(4)} times as large as in fp32, more than ${spread.toPrecision(2)} off`
  if (argmax < leastArgmax)
    return `has the same largest element in ${percent(argmax)} of its rows, less than ${percent(leastArgmax)}`
  return outside ? `has ${outside} elements beyond atol and rtol` : undefined
}

function rowOf({ name, maxAbs, largest, cosine, argmax, nonFinite }: Comparison): string {
  const difference = maxAbs === null ? 'not finite' : maxAbs.toExponential(1)
  return `${name}  max abs ${difference} of ${largest.toPrecision(3)}  cosine ${cosine.toFixed(5)}  argmax ${percent(argmax)}${nonFinite > 0 ? `  ${nonFinite} elements not finite in fp32` : ''}`
}

/** How an engine compares with the fp32 model. A type, not an interface: it is kept as JSON. */
export type Verification = VerifyResult & {
  /** Whether the lowered graph ran on the CPU in the place of the engine, which cannot run here. */
  readonly emulated: boolean
  /** What is further away than allowed, a line for each output. */
  readonly failures: readonly string[]
  /** Fewest nodes or weights that must stay in fp32 for all to be well; empty when that would not help. */
  readonly blame: readonly Culprit[]
  /** Where most is lost when no few of them are to blame; null when some are. */
  readonly spread: Spread | null
}

/** What is lost everywhere. */
export type Spread = {
  /** How many nodes or weights are lowered. */
  readonly of: number
  readonly worst: readonly Part[]
}

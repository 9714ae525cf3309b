import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Comparison } from '../measure/compare.ts'
import { sharedObjects } from '../measure/objects.ts'
import { trainingText } from '../onnx/training-text.ts'
import type { PassRequest } from '../precision/pass.ts'
import { quote } from '../text.ts'
import type { Part } from './blame.ts'
import type { Culprit } from './culprits.ts'
import { failuresOf, type JudgedRequest, percent, thresholdOf } from './limits.ts'
import { metricProblem } from './metric.ts'
import { type ContestRequest, opponentOf } from './request.ts'
import type { VerifyResult } from './verify-child.ts'

/** One line for each output that is further away than the options allow, and one for a metric beyond its limit. */
export function judge({ outputs, metric }: VerifyResult, request: JudgedRequest): string[] {
  const problem = metric && metricProblem(metric)
  return [...failuresOf(outputs, thresholdOf(request)), ...(problem === undefined ? [] : [problem])]
}

/**
 * How far the outputs are from those of the fp32 model, as the largest squared distance of one in halves of its squared
 * length. Errors that do not depend on each other add up.
 */
export function distanceOf({ outputs }: VerifyResult): number {
  const distances = outputs.map(({ trouble, maxAbs, cosine, norm, objects }) => {
    if (objects) return 1 - sharedObjects(objects)
    return trouble !== undefined || maxAbs === null ? Infinity : 1 - cosine + (norm - 1) ** 2 / 2
  })
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
export function verificationError(request: ContestRequest, verification: Verification): OnnxEngineError {
  const { name, options, backend } = request
  const { inputs, failures, blame, spread, outputs, emulated, first } = verification
  const on = `engine=${options.engine} on ${backend}${emulated ? ' (emulated)' : ''}`
  const subject = `${name}: ${on} differs from ${opponentOf(request)} on ${inputs}: ${failures.join('; ')}`
  const rows = outputRows(outputs)
  const advice = spread ? [spreadText(spread, blame.length)] : [...blameText(blame), ...firstText(first)]
  return new OnnxEngineError('VERIFICATION_FAILED', `${[subject, ...rows, ...advice].join('\n')}\n`, {
    hint: hintOf(request, verification),
  })
}

function hintOf({ pass, options, against, model }: ContestRequest, { blame, spread }: Verification): string {
  if (model.training) return `The cause may be that ${trainingText(model.training)}`
  if (blame.length > 0 && !spread) {
    return `List them in the option 'precision.fp32', set 'precision.autoPin', or allow more by 'verify'`
  }
  if (against) return `Compare each of the two with the fp32 model, or allow more by the option 'verify'`
  if (!pass && options.engine === 'fp32') return `Use another backend, or allow more by the option 'verify'`
  return `Use another precision, or allow more by the option 'verify'`
}

function firstText(first: Verification['first']): readonly string[] {
  return first ? [`The first node that differs is ${first.node} (${first.operator})`] : []
}

/** One line about the nodes to blame; none when there are none. */
function blameText(blame: readonly Culprit[]): readonly string[] {
  if (blame.length === 0) return []
  const names = blame.slice(0, 20).map(culpritText).join(', ')
  const others = blame.length > 20 ? ` and ${blame.length - 20} more` : ''
  return [`Keeping these in fp32 fixes it: ${names}${others}`]
}

/**
 * The result of a comparison, for the line of a model: 'max abs 3.0e-4, cosine 0.99999, argmax 100% (random inputs)'.
 * It never describes outputs with nothing to compare as if they were right.
 */
export function verificationText({ skipped, outputs, inputs, emulated, unvaried, metric }: Verification): string {
  if (skipped !== undefined) return `not verified: ${skipped}`
  const compared = outputs.filter(isCompared)
  const others = [
    ...outputs.filter((output) => !isCompared(output)).map(unverifiedText),
    ...compared
      .filter(({ name }) => unvaried.outputs.includes(name))
      .map(({ name }) => `output ${quote(name)} never varied`),
  ]
  const objects = compared.find((output) => output.objects)?.objects
  const figures = [
    ...(objects ? [`${objects.matched} of ${objects.expected} objects, ${objects.received} found`] : []),
    ...(objects && compared.every((output) => output.objects) ? [] : [distanceText(compared)]),
  ].join(', ')
  const own = metric ? [`metric ${Number(metric.mean.toPrecision(5))}`] : []
  return [...own, `${figures} (${inputs}${emulated ? ', emulated' : ''})`, ...others].join(', ')
}

function distanceText(outputs: readonly Comparison[]): string {
  const measured = outputs.filter((output) => !output.objects)
  const worst = measured.map(({ maxAbs }) => maxAbs ?? Infinity).reduce((most, value) => Math.max(most, value), 0)
  const cosine = Math.min(1, ...measured.map((output) => output.cosine))
  const argmax = Math.min(1, ...measured.map((output) => output.argmax))
  return `max abs ${worst.toExponential(1)}, cosine ${cosine.toFixed(5)}, argmax ${percent(argmax)}`
}

/** Below this share of rows, the index of the largest element is no longer the one of the fp32 model. */
const steady = 0.5

/**
 * A line for each output that is within its limits and yet has another largest element in most of its rows, as a
 * detector whose cosine is 0.9998. On random inputs that means little, and a limit of the user's own says more.
 */
export function unsteadyRows(
  { outputs, inputs, failures }: Verification,
  { verify }: ContestRequest['options'],
): readonly string[] {
  if (inputs === 'random inputs' || failures.length > 0 || (verify && verify.argmax !== undefined)) return []
  return outputs
    .filter((output) => isCompared(output) && !output.discrete && output.argmax < steady)
    .map(
      ({ name, argmax, cosine }) =>
        `output ${quote(name)} has its largest element elsewhere in ${percent(1 - argmax)} of its rows, ` +
        `with a cosine of ${cosine.toFixed(5)}: if its rows are decisions, set a limit by 'verify.argmax'`,
    )
}

function isCompared({ compared, trouble }: Comparison): boolean {
  return compared > 0 || trouble !== undefined
}

function unverifiedText({ name, nonFinite }: Comparison): string {
  const reason = nonFinite > 0 ? 'NaN or infinite in the fp32 model already' : 'empty'
  return `output ${quote(name)} not verified: ${reason}`
}

// 'scale (Mul)', 'weight.3 (read by MatMul b)'
function culpritText({ name, operator, readers }: Culprit): string {
  const others = readers.length > 3 ? ` and ${readers.length - 3} more` : ''
  const detail = operator === 'initializer' ? `read by ${readers.slice(0, 3).join(', ')}${others}` : operator
  return detail === '' ? name : `${name} (${detail})`
}

function spreadText({ of, worst }: Spread, needed: number): string {
  const parts = worst.map(
    ({ first, last, count, share }) => `${first} to ${last} (${count}${share === null ? '' : `, ${percent(share)}`})`,
  )
  const amount = `${needed} of ${of} would have to stay in fp32`
  return `The loss is spread over many nodes or weights: ${amount}. Most is lost from ${parts.join(', ')}`
}

/** One line for each output. */
export function outputRows(outputs: readonly Comparison[]): readonly string[] {
  return outputs.map((output) => `  ${rowOf(output)}`)
}

function rowOf({ name, maxAbs, largest, cosine, argmax, nonFinite, objects }: Comparison): string {
  if (objects) return `${name}  ${objects.matched} of ${objects.expected} objects, ${objects.received} found`
  const difference = maxAbs === null ? 'not finite' : maxAbs.toExponential(1)
  const distance = `max abs ${difference} of ${largest.toPrecision(3)}`
  const unusable = nonFinite > 0 ? [`${nonFinite} elements not finite in fp32`] : []
  return [name, distance, `cosine ${cosine.toFixed(5)}`, `argmax ${percent(argmax)}`, ...unusable].join('  ')
}

/** How an engine compares with the fp32 model. A type, not an interface: it is kept as JSON. */
export type Verification = VerifyResult & {
  /** Whether the lowered graph ran on the CPU instead of the engine, which cannot run here. */
  readonly emulated: boolean
  /** One line for each output that is further away than allowed. */
  readonly failures: readonly string[]
  /** Fewest nodes or weights that must stay in fp32 for all to be well; empty when that would not help. */
  readonly blame: readonly Culprit[]
  /** Where most is lost when no few of them are to blame; null when some are. */
  readonly spread: Spread | null
  /** The first node whose values differ, where nothing was lowered; null when none was found. */
  readonly first: { readonly node: string; readonly operator: string } | null
}

/** A loss that no few nodes explain. */
export type Spread = {
  /** How many nodes or weights are lowered. */
  readonly of: number
  readonly worst: readonly Part[]
}

import { OnnxEngineError } from '../../runtime/errors.ts'
import { cacheKey, type Facts } from '../cache/key.ts'
import { storedJson } from '../cache/stored-json.ts'
import { countdown } from '../child/countdown.ts'
import { findReference, type Reference } from '../measure/reference.ts'
import type { LoweringReport } from '../precision/lower.ts'
import type { FoundSamples } from '../samples/find.ts'
import { compareCandidate, type Contest } from './compare-candidate.ts'
import type { MetricModule } from './metric-module.ts'
import { type KnownInputs, knownInputs } from './random-inputs.ts'
import { type ContestRequest, opponentOf, runsHere, timeoutOf, type VerifyRequest } from './request.ts'
import { judge, unusableReference, type Verification } from './verdict.ts'

// Verification compares an engine with the fp32 model on ONNX Runtime and judges the difference. verify.ts is its
// story: compare-candidate.ts runs both in a child process, verdict.ts judges and words the result, blame.ts searches
// the nodes that cause a difference, and report.ts prints and keeps the report.

/** Raised when the same outputs give another verdict. */
const version = 12

/**
 * Compares an engine with the fp32 model on ONNX Runtime, or with the engine that the request names, on the samples of
 * the options or on random inputs, and finds the nodes to blame when it is too far. The result is cached with the
 * engine's key. Undefined when the options ask for no comparison, or ONNX Runtime is not there to run the fp32 model.
 *
 * @param lowering the report from when the engine was compiled; null when nothing was lowered
 * @throws OnnxEngineError VERIFICATION_FAILED when time runs out or the fp32 model gives no numbers on the samples,
 *   INFERENCE_FAILED when the engine fails or dies, SAMPLES_INVALID, COMPILE_ABORTED
 */
export async function verifyEngine(
  request: VerifyRequest,
  lowering: LoweringReport | null,
): Promise<Verification | undefined> {
  const { options, key, importKey, name, store, signal, log, against } = request
  if (options.verify === false) return undefined
  const found = await findContest(request)
  if ('reason' in found) {
    log(`${name}: not verified, because ${found.reason}`)
    return undefined
  }
  const { samples: _, ...thresholds } = options.verify
  const facts = {
    verification: version,
    engine: key.digest,
    ...(against && { against: against.key.digest }),
    ...contestFacts(found),
    thresholds: JSON.stringify(Object.entries(thresholds).sort()),
  }
  const entry = { key: cacheKey(facts), importKey: `${importKey} verification`, label: name, signal }
  return storedJson(store, entry, () => verify(found.contest, lowering))
}

/** A comparison that can be made, and the ONNX Runtime that computes the fp32 model. */
interface FoundContest<Request extends ContestRequest> {
  readonly contest: Contest<Request>
  readonly reference: Reference
}

/** What an engine is compared on, or the reason why nothing can be compared. */
export async function findContest<Request extends ContestRequest>(
  request: Request,
): Promise<FoundContest<Request> | { readonly reason: string }> {
  const reference = await findReference(request)
  if (!reference.available) return { reason: reference.reason }
  const { module } = reference.detail
  const [samples, metric] = [await samplesOf(request), await metricOf(request)]
  if (metric && !samples) throw withoutSamples(metric)
  const known = knownInputs(request.options)
  return { contest: { request, samples, known, module, metric, late: countdown(timeoutOf(request)) }, reference }
}

async function metricOf(request: ContestRequest): Promise<MetricModule | undefined> {
  if ((request.options.verify || {}).metric === undefined) return undefined
  const { findMetric } = await import('./metric-module.ts')
  return findMetric(request)
}

function withoutSamples({ text }: MetricModule): OnnxEngineError {
  return new OnnxEngineError('OPTION_INVALID', `option 'verify.metric': ${text}`, {
    expected: 'samples, since a task cannot be measured on random inputs',
    received: 'none',
    hint: `Give samples by 'verify.samples' or 'calibration'`,
  })
}

async function verify(contest: Contest, lowering: LoweringReport | null): Promise<Verification> {
  const { request, samples } = contest
  const { pass, backend, against } = request
  const emulated = pass !== undefined && !runsHere.has(backend)
  // An engine of WebGPU in fp32 is the model itself, which ONNX Runtime runs here, too.
  if (!emulated && !runsHere.has(backend) && backend !== 'webgpu')
    return { ...unverified('it takes a GPU to run it'), emulated }
  const result = emulated
    ? await (await loweredModels()).compareLowered(contest, [])
    : await compareCandidate(contest, { manifest: request.manifest })
  const unusable = samples && unusableReference(request, result)
  if (unusable) throw unusable
  const failures = judge(result, request)
  const compared = { ...result, emulated, failures, blame: [], spread: null, first: null }
  if (failures.length === 0) return compared
  if (!pass || against) return { ...compared, first: await whereItDiffers(contest) }
  const { findCulprits } = await loweredModels()
  return { ...compared, ...(await findCulprits(contest, lowering?.changed ?? [], emulated)) }
}

// Loaded when a graph must be lowered again, which most comparisons do not need.
const loweredModels = () => import('./lowered-candidate.ts')

function unverified(skipped: string): Omit<Verification, 'emulated'> {
  const unvaried = { inputs: [], outputs: [] }
  const none = { failures: [], blame: [], spread: null, first: null }
  return { inputs: 'none', tried: [], unvaried, skipped, outputs: [], ...none }
}

/** The first node whose values differ, where nothing was lowered. An error of the search must not hide the verdict. */
async function whereItDiffers(contest: Contest): Promise<Verification['first']> {
  const { name, log } = contest.request
  log(`${name}: too far from ${opponentOf(contest.request)}; looking for the first node that differs`)
  const { firstDifference } = await import('./first-difference.ts')
  try {
    const found = await firstDifference(contest)
    return found ? { node: found.node, operator: found.operator } : null
  } catch (error) {
    if (contest.request.signal?.aborted) throw error
    return null
  }
}

async function samplesOf(request: ContestRequest): Promise<FoundSamples | undefined> {
  const { calibration, verify } = request.options
  if (!calibration && !(verify || {}).samples) return undefined
  const { typicalSamples } = await import('../samples/find.ts')
  return typicalSamples(request)
}

/** What decides the result of a comparison besides the two engines and the limits, for its key. */
export function contestFacts({ contest, reference }: FoundContest<ContestRequest>): Facts {
  return {
    reference: reference.version,
    samples: contest.samples?.digest ?? randomFact(contest.known.values),
    ...(contest.metric && { metric: contest.metric.digest }),
  }
}

// Values of shape tensors are in the keys of TensorRT's engines alone.
function randomFact(values: KnownInputs['values']): string {
  const given = Object.entries(values).map(([input, numbers]) => `${input}=${numbers.join('x')}`)
  return ['random', ...given.sort()].join(' ')
}

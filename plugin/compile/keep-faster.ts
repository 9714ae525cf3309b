import { OnnxEngineError } from '../../runtime/errors.ts'
import { type Gain, measureGain, type SizedEngine, speedText } from '../verify/gain.ts'
import { type EngineGroup, variantsOf } from './build-engines.ts'
import type { PlannedEngine } from './choose-engines.ts'
import { buildEngine, buildForComparison, type ModelJob, type VerifiedEngine } from './engine.ts'
import { enginesIn, measurable } from './other-precision.ts'
import type { PrecisionSearch } from './search-pins.ts'
import type { Variant } from './variant.ts'

/**
 * Builds engines of int8, and measures the first next to fp32. int8 is asked for to be faster and smaller: where it is
 * beyond the limits, or turns out worse on the machine that builds it, a search looks for the nodes that stay in fp32.
 * Where that does not help either, the option `precision.whenSlower` decides what the build has instead.
 *
 * @throws OnnxEngineError with any build-time code; PRECISION_UNSUPPORTED with `whenSlower: 'error'`
 */
export async function buildFaster(group: EngineGroup): Promise<Variant[]> {
  const { engines, job } = group
  const planned = engines[0]!
  if (!measurable.has(planned.backend)) return buildAll(engines, job)
  const twins = await enginesIn('fp32', group, 'instead of int8')
  const fp32 = await buildForComparison(twins[0]!.planned, twins[0]!.job)
  const plain = await tryEngine(planned, job, fp32)
  const found = await searched(plain, { planned, job, fp32 })
  const { first, gain, job: chosen, search } = found
  // Once more, for its error or its warning. What it logs was seen.
  if (!first || !gain) return buildAll(engines, { ...job, context: { ...job.context, log: () => {} } })
  const withFigures = (variant: Variant): Variant => ({ ...variant, gain, ...(search && { search }) })
  if (isReplaced(first.variant, gain, job)) {
    const others = await Promise.all(twins.map((twin) => buildEngine(twin.planned, twin.job)))
    return variantsOf(others).map(withFigures)
  }
  return [first.variant, ...(await buildAll(engines.slice(1), chosen))].map(withFigures)
}

async function buildAll(engines: readonly PlannedEngine[], job: ModelJob): Promise<Variant[]> {
  return variantsOf(await Promise.all(engines.map((planned) => buildEngine(planned, job))))
}

/** An engine that was built and measured, if that was possible. */
interface Outcome {
  readonly job: ModelJob
  readonly first?: VerifiedEngine
  readonly gain?: Gain
  /** Whether it is beyond the limits. */
  readonly isWrong: boolean
  readonly search?: PrecisionSearch
}

async function tryEngine(planned: PlannedEngine, job: ModelJob, fp32: SizedEngine): Promise<Outcome> {
  try {
    const first = await buildEngine({ ...planned, requested: true }, job)
    return first ? { job, first, gain: await measureGain(first.sized, fp32), isWrong: false } : { job, isWrong: false }
  } catch (error) {
    if (!(error instanceof OnnxEngineError) || job.context.signal?.aborted) throw error
    return { job, isWrong: error.code === 'VERIFICATION_FAILED' }
  }
}

interface Searching {
  readonly planned: PlannedEngine
  readonly job: ModelJob
  readonly fp32: SizedEngine
}

/** The outcome, or a better one that a search found where the options want one. */
async function searched(plain: Outcome, { planned, job, fp32 }: Searching): Promise<Outcome> {
  const { search: wanted, autoPin } = job.request.options.precision
  const isPoor = plain.isWrong || (plain.gain?.losses.length ?? 0) > 0
  if (!(wanted ?? (isPoor && autoPin !== false))) return plain
  const { searchPrecision, searchText, withPins } = await import('./search-precision.ts')
  const search = await searchPrecision({ planned, job, fp32, known: plain.first?.pinned ?? [] })
  job.context.log(`${job.name}: ${searchText(search)}, ${planned.backend}`)
  if (!search.best) return { ...plain, search }
  const next = await tryEngine(planned, withPins(job, search.best.pinned), fp32)
  return isBetter(next, plain) ? { ...next, search } : { ...plain, search }
}

// The search has compared both by their errors and times. What it does not look at is the size.
function isBetter(found: Outcome, plain: Outcome): boolean {
  if (!found.gain) return false
  return found.gain.losses.length === 0 || (plain.gain?.losses.length ?? 1) > 0
}

/** Says what was measured, and whether fp32 takes the place of int8. */
function isReplaced({ backend }: Variant, gain: Gain, { name, request, context }: ModelJob): boolean {
  const { whenSlower } = request.options.precision
  if (gain.losses.length === 0) {
    context.log(`${name}: int8 is ${speedText(gain)}, ${backend}`)
    return false
  }
  const losses = gain.losses.join(', ')
  if (whenSlower === 'error')
    throw new OnnxEngineError('PRECISION_UNSUPPORTED', `${name}: engine=int8 on ${backend}`, {
      expected: 'an engine that is better than one of fp32',
      received: losses,
      hint: `Import the model with ?engine=fp32, or set precision.whenSlower to 'warn'`,
    })
  const verdict = whenSlower === 'fp32' ? 'the build has fp32 instead of int8, which is' : 'int8 is'
  context.warn(`${name}: ${verdict} ${losses}, with ${backend}`)
  return whenSlower === 'fp32'
}

import { OnnxEngineError } from '../../runtime/errors.ts'
import { type Gain, measureGain, speedText } from '../verify/gain.ts'
import { type EngineGroup, variantsOf } from './build-engines.ts'
import { buildEngine, buildForComparison, type ModelJob } from './engine.ts'
import { enginesIn, measurable } from './other-precision.ts'
import type { Variant } from './variant.ts'

/**
 * Builds engines of int8, and measures the first next to fp32. int8 is asked for to be faster and smaller: where it
 * turns out worse on the machine that builds it, the option `precision.whenSlower` decides what the build has instead.
 *
 * @throws OnnxEngineError with any build-time code; PRECISION_UNSUPPORTED with `whenSlower: 'error'`
 */
export async function buildFaster(group: EngineGroup): Promise<Variant[]> {
  const { engines, job } = group
  const built = await Promise.all(engines.map((planned) => buildEngine(planned, job)))
  const variants = variantsOf(built)
  const first = built.find((engine) => engine !== undefined)
  if (!first || !measurable.has(first.variant.backend)) return variants
  const twins = await enginesIn('fp32', group, 'instead of int8')
  const [twin] = twins
  if (!twin) return variants
  const gain = await measureGain(first.sized, await buildForComparison(twin.planned, twin.job))
  const withGain = (variant: Variant): Variant => ({ ...variant, gain })
  if (!isReplaced(first.variant, gain, job)) return variants.map(withGain)
  const fp32 = await Promise.all(twins.map(({ planned, job: own }) => buildEngine(planned, own)))
  return variantsOf(fp32).map(withGain)
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

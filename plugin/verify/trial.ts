import { cacheKey } from '../cache/key.ts'
import { storedJson } from '../cache/stored-json.ts'
import { compareCandidate } from './compare-candidate.ts'
import type { VerifyRequest } from './request.ts'
import { distanceOf, judge, unusableReference } from './verdict.ts'
import { contestFacts, findContest } from './verify.ts'

/** How an engine does next to the fp32 model, without a search for what is to blame. */
export interface TrialVerdict {
  /** Whether it keeps the limits. */
  readonly isFine: boolean
  /** As `distanceOf` measures it; Infinity where an output is no number. */
  readonly distance: number
}

/** Raised when the same outputs give another result. */
const version = 2

/**
 * Compares an engine with the fp32 model, as `verifyEngine` does. The outcome is cached with the engine's key.
 *
 * @throws OnnxEngineError as `verifyEngine`
 */
export async function compareTrial(request: VerifyRequest): Promise<TrialVerdict> {
  if (request.options.verify === false) return { isFine: true, distance: 0 }
  const found = await findContest(request)
  if ('reason' in found) return { isFine: false, distance: Infinity }
  const { contest } = found
  const facts = { trial: version, engine: request.key.digest, ...contestFacts(found) }
  const { store, name, signal, importKey, manifest } = request
  const entry = { key: cacheKey(facts), importKey: `${importKey} trial`, label: name, signal }
  const result = await storedJson(store, entry, () => compareCandidate(contest, { manifest }))
  const unusable = contest.samples && unusableReference(request, result)
  if (unusable) throw unusable
  return { isFine: judge(result, request).length === 0, distance: distanceOf(result) }
}

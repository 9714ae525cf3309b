import { cacheKey } from '../cache/key.ts'
import { storedJson } from '../cache/stored-json.ts'
import type { LoweringReport } from '../precision/lower.ts'
import { typicalSamples } from '../samples/find.ts'
import { lossesWithoutTime, measureGain, type SizedEngine, thisCpu } from '../verify/gain.ts'
import { compareTrial } from '../verify/trial.ts'
import type { PlannedEngine } from './choose-engines.ts'
import { buildForComparison, type ModelJob } from './engine.ts'
import { rulesOut } from './other-precision.ts'
import { pinGroups } from './pin-groups.ts'
import { startProgress } from './progress.ts'
import { type PrecisionSearch, searchPins, type Trial } from './search-pins.ts'

/** An engine whose precision is searched. */
export interface SearchRequest {
  readonly planned: PlannedEngine
  readonly job: ModelJob
  /** The engine of fp32 that it is measured next to. */
  readonly fp32: SizedEngine
  /** Names that keep the limits in fp32, if some are known. */
  readonly known?: readonly string[]
}

/** Raised when the same trials lead to another result. */
const version = 1

/**
 * Searches which nodes stay in fp32, so that the engine keeps the limits in the least time. Each way is built, compared
 * and measured as any engine is, and cached: a search that was stopped goes on where it was. The result is cached by
 * the engines, the samples, the limits, the budget and this CPU.
 *
 * @throws OnnxEngineError COMPILE_ABORTED, SAMPLES_INVALID, and what building an engine throws
 */
export async function searchPrecision(request: SearchRequest): Promise<PrecisionSearch> {
  const { planned, job, fp32 } = request
  const plain = await buildForComparison(planned, asTrial(job))
  // Throws where the fp32 model gives no numbers, so that no way could be right.
  await compareTrial(plain.request)
  const { key, importKey, store, name, signal, options } = plain.request
  const { samples: _, ...limits } = options.verify || {}
  const samples = await typicalSamples(plain.request)
  const facts = {
    search: version,
    engine: key.digest,
    fp32: fp32.request.key.digest,
    samples: samples?.digest ?? 'random',
    limits: JSON.stringify(Object.entries(limits).sort()),
    budget: options.precision.budget,
    known: (request.known ?? []).join('\n'),
    ...thisCpu(),
  }
  const entry = { key: cacheKey(facts), importKey: `${importKey} search`, label: name, signal }
  return storedJson(store, entry, () => search(request, plain))
}

async function search({ planned, job, fp32, known }: SearchRequest, plain: SizedEngine): Promise<PrecisionSearch> {
  const { context, name } = job
  const { options, model } = plain.request
  const names = (plain.lowering as LoweringReport | null)?.changed ?? []
  const groups = await pinGroups(model.file, names)
  const title = `${name}  ${options.engine}  ${planned.backend}`
  const progress = context.startProgress?.(title, undefined) ?? startProgress(title, undefined, context.log)
  const start = performance.now()
  const elapsed = () => performance.now() - start
  const measured = new Map<string, Promise<Trial>>()
  const measure = (pinned: readonly string[]): Promise<Trial> => {
    const sorted = [...pinned].sort()
    const id = sorted.join('\n')
    const trial = measured.get(id) ?? measureTrial({ planned, job, fp32 }, sorted)
    measured.set(id, trial)
    progress.phase(`searching what stays in fp32, ${measured.size} ways tried`)
    return trial
  }
  try {
    const outOfTime = () => elapsed() > options.precision.budget
    const { trials, best = null } = await searchPins({ groups, measure, outOfTime, ...(known && { known }) })
    const curve = trials.map(({ pinned, ...figures }) => ({ ...figures, pinned: pinned.length }))
    return { curve, best, of: names.length, stopped: outOfTime() ? 'budget' : 'done', seconds: elapsed() / 1000 }
  } finally {
    progress.stop()
  }
}

async function measureTrial({ planned, job, fp32 }: SearchRequest, pinned: readonly string[]): Promise<Trial> {
  try {
    const engine = await buildForComparison(planned, asTrial(withPins(job, pinned)))
    const { isFine, distance } = await compareTrial(engine.request)
    const { speed, bytes } = await measureGain(engine, fp32)
    const saves = lossesWithoutTime(bytes, engine.lowering as LoweringReport | null).length === 0
    return { pinned, isFine: isFine && saves, distance: finite(distance), ratio: speed.ratio, size: engine.size }
  } catch (error) {
    if (!rulesOut(error, job.context.signal)) throw error
    return { pinned, isFine: false, distance: null, ratio: null, size: 0 }
  }
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null
}

/** The same import with these names in fp32, besides those of the user. */
export function withPins(job: ModelJob, pinned: readonly string[]): ModelJob {
  const { options } = job.request
  const precision = { ...options.precision, fp32: [...options.precision.fp32, ...pinned] }
  return { ...job, request: { ...job.request, options: { ...options, precision } } }
}

// In the cache's history, ways that were only tried are another import.
function asTrial(job: ModelJob): ModelJob {
  return { ...job, request: { ...job.request, query: `${job.request.query} as a trial` } }
}

/** '6 of 120 nodes stay in fp32, 0.52 of the time of fp32, after 14 ways in 38 s'. */
export function searchText({ curve, best, of, seconds, stopped }: PrecisionSearch): string {
  const end = stopped === 'budget' ? ', all of the budget' : ''
  const effort = `after ${curve.length} ways in ${Math.round(seconds)} s${end}`
  if (!best) return `no set of nodes in fp32 keeps the limits, ${effort}`
  const time = best.ratio === null ? '' : `, ${best.ratio.toFixed(2)} of the time of fp32`
  return `${best.pinned.length} of ${of} nodes stay in fp32${time}, ${effort}`
}

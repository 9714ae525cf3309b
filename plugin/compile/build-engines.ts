import type { PlannedEngine } from './choose-engines.ts'
import { buildEngine, type ModelJob, type VerifiedEngine } from './engine.ts'
import type { SelectedModels } from './selected-model.ts'
import type { Variant } from './variant.ts'

/** The engines of one backend to build. */
export interface EngineGroup {
  /** At least one: the first speaks for the others, such as the portable one, which other machines run. */
  readonly engines: readonly PlannedEngine[]
  readonly models: SelectedModels
  readonly job: ModelJob
}

/**
 * Builds the engines of one model, and announces them once they are chosen: where the precision is to be the fastest,
 * or int8 might be slower than fp32, that takes measurements.
 *
 * @throws OnnxEngineError with any build-time code
 */
export async function buildEngines(
  engines: readonly PlannedEngine[],
  models: SelectedModels,
  job: ModelJob,
): Promise<readonly Variant[]> {
  const backends = [...new Set(engines.map(({ backend }) => backend))]
  const build = await builderFor(job)
  const built = await Promise.all(
    backends.map(async (name) => {
      const variants = await build({ engines: engines.filter(({ backend }) => backend === name), models, job })
      announce(variants, job)
      return variants
    }),
  )
  return built.flat()
}

// Loaded when they are needed: a build of hits in a precision of the user's choice does not wait for them.
async function builderFor({ request: { options } }: ModelJob): Promise<(group: EngineGroup) => Promise<Variant[]>> {
  if (options.fastest) return (await import('./fastest.ts')).buildFastest
  if (options.engine === 'int8') return (await import('./keep-faster.ts')).buildFaster
  return async ({ engines, job }) => variantsOf(await Promise.all(engines.map((planned) => buildEngine(planned, job))))
}

/** The engines that were built: `'auto'` may have left some out. */
export function variantsOf(built: readonly (VerifiedEngine | undefined)[]): Variant[] {
  return built.flatMap((engine) => (engine ? [engine.variant] : []))
}

function announce(variants: readonly Variant[], { name, request, context }: ModelJob): void {
  for (const { artifact, cache, backend, engine, label, report, verified, gain, search } of variants) {
    const { size, sha256 } = artifact
    const which = { event: 'engine', model: name, file: request.file, backend, engine, label } as const
    const measured = { ...(gain && { gain }), ...(search && { search }) }
    context.onEvent?.({ ...which, ...cache, size, sha256, verified, report, ...measured })
  }
}

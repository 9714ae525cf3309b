import { OnnxEngineError } from '../../runtime/errors.ts'
import type { BackendName } from '../../runtime/manifest.ts'
import type { Gain } from '../verify/gain.ts'
import { chooseEngines, type PlannedEngine } from './choose-engines.ts'
import { buildEngine, buildForComparison, type ModelJob, type VerifiedEngine } from './engine.ts'
import type { SelectedModels } from './selected-model.ts'
import type { Variant } from './variant.ts'

// int8 is asked for to be faster and smaller. Where an engine turns out worse than one of fp32, on the machine that
// builds it, the option `precision.whenSlower` decides what the build has instead.

/** Backends whose engines run in the app as they run here. */
const measurable: ReadonlySet<BackendName> = new Set<BackendName>(['onnxruntime', 'openvino'])

/**
 * Builds the engines of one model. Those of int8 are measured next to fp32, by backend: the first engine of a backend
 * speaks for its others, such as the portable one, which other machines run.
 *
 * @throws OnnxEngineError with any build-time code; PRECISION_UNSUPPORTED with `whenSlower: 'error'`
 */
export async function buildEngines(
  engines: readonly PlannedEngine[],
  models: SelectedModels,
  job: ModelJob,
): Promise<readonly Variant[]> {
  const backends = [...new Set(engines.map(({ backend }) => backend))]
  const built = await Promise.all(
    backends.map((name) =>
      buildGroup(
        engines.filter(({ backend }) => backend === name),
        models,
        job,
      ),
    ),
  )
  return built.flat()
}

async function buildGroup(
  group: readonly PlannedEngine[],
  models: SelectedModels,
  job: ModelJob,
): Promise<readonly Variant[]> {
  const built = await Promise.all(group.map((planned) => buildEngine(planned, job)))
  const variants = variantsOf(built)
  const first = built.find((engine) => engine !== undefined)
  const planned = group[built.indexOf(first)]
  if (!first || !planned || job.request.options.engine !== 'int8' || !measurable.has(planned.backend))
    return announce(variants, job)
  const twins = await fp32Engines(planned, models, job)
  const gain = twins[0] && (await gainOf(first, twins[0]))
  if (!gain) return announce(variants, job)
  const withGain = (variant: Variant): Variant => ({ ...variant, gain })
  if (!(await isReplaced(first.variant, gain, job))) return announce(variants.map(withGain), job)
  const fp32 = await Promise.all(twins.map((twin) => buildEngine(twin.planned, twin.job)))
  return announce(variantsOf(fp32).map(withGain), job)
}

function variantsOf(built: readonly (VerifiedEngine | undefined)[]): readonly Variant[] {
  return built.flatMap((engine) => (engine ? [engine.variant] : []))
}

/** Engines are announced once they are chosen. */
function announce(variants: readonly Variant[], { name, request, context }: ModelJob): readonly Variant[] {
  for (const { artifact, cache, backend, engine, label, report, verified, gain } of variants) {
    const { size, sha256 } = artifact
    const which = { event: 'engine', model: name, file: request.file, backend, engine, label } as const
    context.onEvent?.({ ...which, ...cache, size, sha256, verified, report, ...(gain && { gain }) })
  }
  return variants
}

interface Twin {
  readonly planned: PlannedEngine
  readonly job: ModelJob
}

/** The engines that the same backend makes in fp32. */
async function fp32Engines(
  { backend, requested }: PlannedEngine,
  models: SelectedModels,
  job: ModelJob,
): Promise<readonly Twin[]> {
  const { request, context } = job
  const options = { ...request.options, engine: 'fp32' as const, backends: [backend] }
  // Another query: in the cache's history this is another import of the model.
  const twinJob = { ...job, request: { ...request, options, query: `${request.query} instead of int8` } }
  const { engines } = await chooseEngines(models, options, { root: request.root, target: context.target ?? 'node' })
  return engines.map((planned) => ({ planned: { ...planned, requested }, job: twinJob }))
}

async function gainOf({ sized }: VerifiedEngine, twin: Twin): Promise<Gain | undefined> {
  const { measureGain } = await import('../verify/gain.ts')
  return measureGain(sized, await buildForComparison(twin.planned, twin.job))
}

/** Says what was measured, and whether fp32 takes the place of int8. */
async function isReplaced({ backend }: Variant, gain: Gain, { name, request, context }: ModelJob): Promise<boolean> {
  const { gainText } = await import('../verify/gain.ts')
  const { whenSlower } = request.options.precision
  if (gain.losses.length === 0) {
    context.log(`${name}: ${gainText(gain, 'int8')}, ${backend}`)
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

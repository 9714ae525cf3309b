import { OnnxEngineError } from '../../runtime/errors.ts'
import type { BackendName } from '../../runtime/manifest.ts'
import type { BuildPlan, Backend, Probe } from '../backend/contract.ts'
import { backendsFor, type BuildTarget } from '../options/build-target.ts'
import type { CompileOptions } from '../options/schema.ts'
import type { PrecisionPass } from '../precision/pass.ts'
import { loaders } from './backends.ts'
import { precisionPass } from './passes.ts'
import type { SelectedModel, SelectedModels } from './selected-model.ts'

/** An engine to make, and the backend that makes it. */
export interface PlannedEngine {
  readonly backend: BackendName
  readonly plan: BuildPlan
  /** The model as this backend compiles it. */
  readonly source: SelectedModel
  /** Makes the graph that the backend compiles; undefined when that is the source. */
  readonly pass: PrecisionPass | undefined
  /** Whether the user named the backend: a failure then fails the build, where `'auto'` only drops the engine. */
  readonly requested: boolean
}

/** The engines that these options ask for, in order of preference, and why `'auto'` passed over the other backends. */
export interface Choice {
  readonly engines: readonly PlannedEngine[]
  readonly skipped: readonly SkippedBackend[]
}

export interface SkippedBackend {
  readonly backend: BackendName
  readonly error: OnnxEngineError
  /** Whether its library was not found anywhere: most machines have one library, so that is no news. */
  readonly absent: boolean
}

/** Where a build looks for libraries, and where its output runs. */
export interface BuildPlace {
  readonly root: string
  readonly target: BuildTarget
}

/**
 * Asks each backend for its library, then for its plan of the model.
 *
 * @throws OnnxEngineError UNSUPPORTED_TARGET, BACKEND_UNAVAILABLE and what the plans throw: for a named backend, and
 *   for the last one when none is left.
 */
export async function chooseEngines(
  models: SelectedModels,
  options: CompileOptions,
  { root, target }: BuildPlace,
): Promise<Choice> {
  const requested = options.backends !== 'auto'
  const names = backendsFor(target, options.backends, models.file)
  const candidates = await Promise.all(names.map((name) => loaders[name]()))
  const engines: PlannedEngine[] = []
  const skipped: SkippedBackend[] = []
  for (const backend of candidates) {
    let absent = false
    try {
      const probe = await backend.probe(options, root)
      absent = !probe.available && probe.tried !== undefined
      if (!probe.available) throw unavailable(backend, probe, requested)
      const source = backend.fixesOptionalInputs ? models.fixed : models.open
      const { model } = source
      for (const plan of backend.plan(model, options, probe)) {
        const pass = await precisionPass({ model, options, backend: backend.name, lowering: plan.lowering })
        engines.push({
          backend: backend.name,
          plan: withNote(plan, backend.name, models, source),
          source,
          pass,
          requested,
        })
      }
    } catch (error) {
      if (requested || !(error instanceof OnnxEngineError)) throw error
      skipped.push({ backend: backend.name, error, absent })
    }
  }
  const last = skipped.at(-1)
  if (engines.length === 0 && last) throw last.error
  return { engines, skipped }
}

function withNote(plan: BuildPlan, backend: BackendName, { open }: SelectedModels, source: SelectedModel): BuildPlan {
  if (source === open) return plan
  const names = open.model.bindings.inputs.flatMap(({ name, optional }) => (optional ? [name] : []))
  const note = `engines of ${backend} have the defaults of optional inputs compiled in (${names.join(', ')})`
  return { ...plan, notes: [...(plan.notes ?? []), note] }
}

function unavailable(
  { name }: Backend,
  { reason, tried, hint }: Extract<Probe, { available: false }>,
  requested: boolean,
): OnnxEngineError {
  const where = `${name}: ${reason}`
  if (!requested && tried) return new OnnxEngineError('BACKEND_UNAVAILABLE', where)
  return new OnnxEngineError('BACKEND_UNAVAILABLE', tried ? `${where}; tried ${tried}` : where, {
    ...(hint && { hint }),
  })
}

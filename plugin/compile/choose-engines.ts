import { basename } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { BackendName } from '../../runtime/manifest.ts'
import type { BuildPlan, Backend, Probe } from '../backend/contract.ts'
import type { Model } from '../onnx/model.ts'
import { backendsFor, type BuildTarget } from '../options/build-target.ts'
import type { CompileOptions } from '../options/schema.ts'
import type { PrecisionPass } from '../precision/pass.ts'
import { loaders } from './backends.ts'
import { precisionPass } from './passes.ts'

/** An engine to make, and the backend that makes it. */
export interface PlannedEngine {
  readonly backend: BackendName
  readonly plan: BuildPlan
  /** Makes the graph that the backend compiles; undefined when that is the source. */
  readonly pass: PrecisionPass | undefined
  /** Whether the user named the backend: a failure then fails the build, where `'auto'` only drops the engine. */
  readonly requested: boolean
}

/** The engines that these options ask for, in order of preference, and why `'auto'` passed over the other backends. */
export interface Choice {
  readonly engines: readonly PlannedEngine[]
  readonly skipped: readonly OnnxEngineError[]
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
export async function chooseEngines(model: Model, options: CompileOptions, place: BuildPlace): Promise<Choice> {
  const { root, target } = place
  const requested = options.backends !== 'auto'
  const names = backendsFor(target, options.backends, basename(model.file))
  const candidates = await Promise.all(names.map((name) => loaders[name]()))
  const engines: PlannedEngine[] = []
  const skipped: OnnxEngineError[] = []
  for (const backend of candidates) {
    try {
      const probe = await backend.probe(options, root)
      if (!probe.available) throw unavailable(backend, probe, requested)
      for (const plan of backend.plan(model, options, probe)) {
        const pass = await precisionPass({ model, options, backend: backend.name, lowering: plan.lowering })
        engines.push({ backend: backend.name, plan, pass, requested })
      }
    } catch (error) {
      if (requested || !(error instanceof OnnxEngineError)) throw error
      skipped.push(error)
    }
  }
  const last = skipped.at(-1)
  if (engines.length === 0 && last) throw last
  return { engines, skipped }
}

function unavailable(
  { name }: Backend,
  { reason, tried, hint }: Extract<Probe, { available: false }>,
  requested: boolean,
): OnnxEngineError {
  const where = `${name}: ${reason}`
  if (!requested) return new OnnxEngineError('BACKEND_UNAVAILABLE', where)
  return new OnnxEngineError('BACKEND_UNAVAILABLE', tried ? `${where}; tried ${tried}` : where, {
    ...(hint && { hint }),
  })
}

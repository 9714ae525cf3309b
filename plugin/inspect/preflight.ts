import { basename } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { precisions, type Precision } from '../../runtime/manifest.ts'
import type { Available, Backend, BuildPlan } from '../backend/contract.ts'
import { openStore } from '../cache/store.ts'
import { allBackends } from '../compile/backends.ts'
import { precisionPass } from '../compile/passes.ts'
import { loadGraph } from '../onnx/graph.ts'
import type { Model } from '../onnx/model.ts'
import { compileOptions } from '../options/resolve.ts'
import type { CompileOptions, ResolvedOptions } from '../options/schema.ts'
import type { Lowered, PassRequest, PrecisionPass } from '../precision/pass.ts'
import type { BackendPreflight, LoweringForecast, PrecisionPreflight } from './contract.ts'

/** What each backend would do with a model, in each precision, without compiling it. */
export async function preflightModel(
  model: Model,
  resolved: ResolvedOptions,
  mayReadWeights: boolean,
): Promise<readonly BackendPreflight[]> {
  const options = compileOptions(resolved, { file: model.file, query: {} })
  return Promise.all(
    (await allBackends()).map(async (backend): Promise<BackendPreflight> => {
      const probe = await backend.probe(options, resolved.root)
      if (!probe.available) return { backend: backend.name, unavailable: probe.reason, precisions: [] }
      const preflight = {
        backend,
        probe,
        model,
        options,
        root: resolved.root,
        store: resolved,
        mayReadWeights,
      }
      const rows: PrecisionPreflight[] = []
      for (const engine of precisions) rows.push(await preflightPrecision(preflight, engine))
      return { backend: backend.name, version: probe.version, precisions: rows }
    }),
  )
}

interface Preflight {
  readonly backend: Backend
  readonly probe: Available
  readonly model: Model
  readonly options: CompileOptions
  readonly root: string
  readonly store: ResolvedOptions
  readonly mayReadWeights: boolean
}

async function preflightPrecision(preflight: Preflight, engine: Precision): Promise<PrecisionPreflight> {
  const { backend, probe, model, mayReadWeights } = preflight
  const { calibration: _, ...plainOptions } = preflight.options
  const options: CompileOptions = { ...plainOptions, engine }
  try {
    const [plan] = backend.plan(model, options, probe)
    if (!plan) return { engine, refused: 'it plans no engine' }
    const pass = await precisionPass({ model, options, backend: backend.name, lowering: plan.lowering })
    if (!pass) return { engine, lowering: null }
    if (!mayReadWeights) return { engine, unknown: 'it takes reading all weights' }
    return { engine, lowering: await forecast(preflight, { options, plan, pass }) }
  } catch (error) {
    if (error instanceof OnnxEngineError) return { engine, refused: error.message }
    throw error
  }
}

interface Planned {
  readonly options: CompileOptions
  readonly plan: BuildPlan
  readonly pass: PrecisionPass
}

async function forecast(
  { backend, model, root, store }: Preflight,
  { options, plan, pass }: Planned,
): Promise<LoweringForecast> {
  const request: PassRequest = {
    name: basename(model.file),
    model,
    options,
    backend: backend.name,
    label: plan.label,
    lowering: plan.lowering,
    root,
    store: openStore({ ...store.cache, warn: () => {} }),
    log: () => {},
    warn: () => {},
  }
  const graph = await loadGraph(model.file)
  return summarize(await (pass.forecast ?? pass.lower)(graph, request))
}

function summarize({ unit, total, lowered, kept }: Lowered): LoweringForecast {
  const reasons = new Map<string, number>()
  for (const { reason } of kept) reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  const sorted = [...reasons].sort(([, a], [, b]) => b - a)
  return { unit, total, lowered, kept: sorted.map(([reason, count]) => ({ reason, count })) }
}

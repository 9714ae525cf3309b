import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Json } from '../cache/key.ts'
import { watchSources, type WatchedStore } from '../cache/watched-sources.ts'
import { opponentOf, type VerifyRequest } from '../verify/request.ts'
import { buildUnverified } from './engine.ts'
import { nothingBuilt, prepareModel } from './model.ts'
import type { CompileContext, CompileRequest } from './request.ts'

/** An engine to compare, and the report of its lowering: null when nothing was lowered. */
export interface EngineToCompare {
  readonly request: VerifyRequest
  readonly lowering: Json
}

/**
 * Builds the engines of a request for a comparison, through the same cache as a build. With `against`, which asks for
 * the engines of one backend, they are compared with the first of those instead of the fp32 model.
 *
 * @throws OnnxEngineError with any code of a build; OPTION_INVALID when an engine would be compared with itself
 */
export async function enginesToCompare(
  request: CompileRequest,
  against: CompileRequest | undefined,
  context: CompileContext,
): Promise<readonly EngineToCompare[]> {
  const watched = { ...context, store: watchSources(context.store) }
  const opponent = against && (await firstEngine(against, watched))
  const { job, engines } = await prepareModel(request, watched)
  const built = await Promise.all(engines.map((engine) => buildUnverified(engine, job)))
  const all = built.filter((engine) => engine !== undefined)
  if (all.length === 0) throw nothingBuilt(job.name)
  if (!opponent) return all
  const others = all.filter((engine) => engine.request.key.digest !== opponent.key.digest)
  if (others.length === 0) throw comparedWithItself(job.name, opponent)
  return others.map((engine) => ({ ...engine, request: { ...engine.request, against: opponent } }))
}

async function firstEngine(
  request: CompileRequest,
  context: CompileContext & { readonly store: WatchedStore },
): Promise<VerifyRequest> {
  // The other side prints the warnings about the model.
  const prepared = await prepareModel(request, { ...context, warn: () => {} })
  const job = { ...prepared.job, context }
  const [planned] = prepared.engines
  const engine = planned && (await buildUnverified(planned, job))
  if (!engine) throw nothingBuilt(job.name)
  return engine.request
}

function comparedWithItself(name: string, opponent: VerifyRequest): OnnxEngineError {
  return new OnnxEngineError(
    'OPTION_INVALID',
    `${name}: ${opponentOf({ against: opponent })} is compared with itself`,
    {
      hint: 'Give another backend or precision on one of the sides',
    },
  )
}

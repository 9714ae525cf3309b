import { type ErrorCode, OnnxEngineError } from '../../runtime/errors.ts'
import type { BackendName, Precision } from '../../runtime/manifest.ts'
import type { EngineGroup } from './build-engines.ts'
import { chooseEngines, type PlannedEngine } from './choose-engines.ts'
import type { ModelJob } from './engine.ts'

/** Backends whose engines run in the app as they run here. */
export const measurable: ReadonlySet<BackendName> = new Set<BackendName>(['onnxruntime', 'openvino'])

const ruledOut: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'COMPILE_FAILED',
  'INFERENCE_FAILED',
  'PRECISION_UNSUPPORTED',
  'VERIFICATION_FAILED',
])

/** Whether an error says that an engine cannot be had, so that another one is tried. Any other error ends the build. */
export function rulesOut(error: unknown, signal: AbortSignal | undefined): error is OnnxEngineError {
  return error instanceof OnnxEngineError && ruledOut.has(error.code) && signal?.aborted !== true
}

/** An engine of another precision than the one that was asked for. */
export interface OtherEngine {
  readonly planned: PlannedEngine
  readonly job: ModelJob
}

/**
 * The engines that the same backend makes in another precision.
 *
 * @param role what they are for, in words: in the cache's history they are another import of the model
 * @throws OnnxEngineError what the plans throw, such as PRECISION_UNSUPPORTED
 */
export async function enginesIn(
  engine: Precision,
  { engines: group, models, job }: EngineGroup,
  role: string,
): Promise<readonly OtherEngine[]> {
  const { request, context } = job
  const { backend, requested } = group[0]!
  const options = { ...request.options, engine, fastest: false, backends: [backend] }
  const other = { ...job, request: { ...request, options, query: `${request.query} ${role}` } }
  const { engines } = await chooseEngines(models, options, { root: request.root, target: context.target ?? 'node' })
  return engines.map((planned) => ({ planned: { ...planned, requested }, job: other }))
}

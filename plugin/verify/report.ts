import type { Json } from '../cache/key.ts'
import type { LoweringReport } from '../precision/lower.ts'
import { keepReport } from './keep-onnx.ts'
import { percent } from './limits.ts'
import type { VerifyRequest } from './request.ts'
import { unsteadyRows, type Verification, verificationError, verificationText } from './verdict.ts'
import { verifyEngine } from './verify.ts'

/** The report about an engine of lower precision. A type, not an interface: it is written as JSON. */
export type EngineReport = {
  /** What was lowered; null when the backend did it by itself. */
  readonly lowering: LoweringReport | null
  /** How far the outputs are from those of the fp32 model; null when the options want no comparison. */
  readonly verification: Verification | null
}

/**
 * Verifies an engine and logs one line, as `measureEngine` does. `pins` are the nodes to keep in fp32, when the options
 * ask for that and it helps.
 *
 * @param metadata what `lowerModel` returned when the engine was built; null when nothing was lowered
 * @throws OnnxEngineError VERIFICATION_FAILED, and what `verifyEngine` throws
 */
export async function reportEngine(
  request: VerifyRequest,
  metadata: Json,
): Promise<EngineReport & { readonly pins: readonly string[] }> {
  const { name, log } = request
  const { lowering, verification } = await measureEngine(request, metadata)
  if (!verification || verification.failures.length === 0) return { lowering, verification, pins: [] }
  if (!pinsByItself(request, verification) || verification.blame.length === 0)
    throw verificationError(request, verification)
  const pins = verification.blame.map((culprit) => culprit.name)
  log(`${name}: pinned to fp32: ${pins.join(', ')}`)
  return { lowering, verification, pins }
}

/**
 * Compares an engine and logs one line: the share that was lowered, and how far the outputs are from those of the fp32
 * model. An engine that is too far is in the report. With `keepOnnx` it writes the report as JSON.
 */
export async function measureEngine(request: VerifyRequest, metadata: Json): Promise<EngineReport> {
  const { name, options, backend, label, log, warn } = request
  const { engine } = options
  const lowering = metadata as LoweringReport | null
  const verification = (await verifyEngine(request, lowering)) ?? null
  const compared = options.verify === false ? `not verified: the option 'verify' is false` : undefined
  const parts = [lowering && loweringText(lowering), verification ? verificationText(verification) : compared]
  const line = parts.filter(Boolean).join(', ')
  if (verification && request.pass) for (const text of unsteadyRows(verification, options)) warn(`${name}: ${text}`)
  if (line !== '') log(`${name}  ${engine}  ${label ? `${backend} (${label})` : backend}: ${line}`)
  await keepReport(request, request, { engine, backend, lowering, verification })
  return { lowering, verification }
}

/**
 * Whether the nodes to blame stay in fp32 without a word from the user. Which nodes lose too much in int8 is for
 * samples to say, and an engine that keeps too many is measured next to fp32. `'auto'` is not to fail over a few
 * nodes.
 */
function pinsByItself({ options: { engine, backends, precision } }: VerifyRequest, { spread }: Verification): boolean {
  return (
    precision.autoPin ?? (precision.search === true || engine === 'int8' || (backends === 'auto' && spread === null))
  )
}

/** '93% of 407 nodes lowered, 7 kept, size 0.51x'. */
function loweringText({ unit, total, lowered, changed, kept, bytes }: LoweringReport): string {
  const size = `size ${(bytes.after / bytes.before).toFixed(2)}x`
  // Without any choice of nodes the backend lowers by itself.
  if (total === 0) return changed ? `nothing to lower, ${size}` : size
  return `${percent(lowered / total)} of ${total} ${unit} lowered, ${kept.length} kept, ${size}`
}

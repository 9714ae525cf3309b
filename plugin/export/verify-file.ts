import { compareCandidate } from '../verify/compare-candidate.ts'
import { compareLowered } from '../verify/lowered-candidate.ts'
import type { ContestRequest } from '../verify/request.ts'
import { judge, unusableReference, verificationError, verificationText } from '../verify/verdict.ts'
import { findContest } from '../verify/verify.ts'

/**
 * Compares a lowered .onnx file with the fp32 model, both on ONNX Runtime's CPU, and logs one line. What a GPU computes
 * in 16 bits is emulated, as in a build. Does nothing with `verify: false` or without ONNX Runtime.
 *
 * @param file the lowered graph with the inputs and outputs of the model
 * @throws OnnxEngineError VERIFICATION_FAILED, INFERENCE_FAILED, SAMPLES_INVALID
 */
export async function verifyFile(request: ContestRequest, file: string): Promise<void> {
  const { name, options, backend, lowering, log } = request
  if (options.verify === false) return log(`${name}: not verified: the option 'verify' is false`)
  const found = await findContest(request)
  if ('reason' in found) return log(`${name}: not verified, because ${found.reason}`)
  const { contest } = found
  const emulated = lowering === 'compute' && (options.engine === 'fp16' || options.engine === 'bf16')
  const result = emulated ? await compareLowered(contest, []) : await compareCandidate(contest, { onnx: file })
  const unusable = contest.samples && unusableReference(request, result)
  if (unusable) throw unusable
  const failures = judge(result, request)
  const verification = { ...result, emulated, failures, blame: [], spread: null, first: null }
  if (failures.length > 0) throw verificationError(request, verification)
  log(`${name}  ${options.engine}  for ${backend}: ${verificationText(verification)}`)
}

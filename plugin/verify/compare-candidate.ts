import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Countdown } from '../child/countdown.ts'
import { modelBytes } from '../onnx/size.ts'
import type { FoundSamples } from '../samples/find.ts'
import { runOnInputs } from '../samples/run.ts'
import type { SampleSource } from '../samples/source.ts'
import type { MetricModule } from './metric-module.ts'
import type { Candidate } from './opened.ts'
import type { KnownInputs } from './random-inputs.ts'
import { type ContestRequest, opponentOf, timeoutOf, type VerifyRequest } from './request.ts'
import type { Phase, VerifyResult, VerifySettings } from './verify-child.ts'

/** What the fp32 model and its candidates run on, and until when. */
export interface Contest<Request extends ContestRequest = VerifyRequest> {
  readonly request: Request
  /** Undefined: random inputs. */
  readonly samples: FoundSamples | undefined
  readonly known: KnownInputs
  /** File URL of the ONNX Runtime module that runs the fp32 model. */
  readonly module: string
  readonly late: Countdown
  /** The measure of the user, which decides instead of the default limits. */
  readonly metric: MetricModule | undefined
}

/** What differs from a plain comparison with the opponent of the request. */
export interface ComparisonOptions {
  /** Most samples to use. */
  readonly limit?: number | undefined
  /** Stands for the opponent of the request. */
  readonly reference?: Candidate | undefined
  /** Folder that receives all tensors. */
  readonly keep?: string | undefined
}

const worker = new URL('./verify-child.js', import.meta.url)

/**
 * Runs a candidate, and what it is compared with, on the same inputs, in a child process, and returns how far apart
 * they are.
 *
 * @throws OnnxEngineError VERIFICATION_FAILED when time runs out, INFERENCE_FAILED when the process dies,
 *   SAMPLES_INVALID, COMPILE_ABORTED
 */
export async function compareCandidate(
  contest: Contest<ContestRequest>,
  candidate: Candidate,
  { limit, keep, reference = opponentManifest(contest) }: ComparisonOptions = {},
): Promise<VerifyResult> {
  const { request, samples, known, module, late, metric } = contest
  const { model, name, signal, options } = request
  const { atol = null, rtol = null } = options.verify || {}
  const settings: Omit<VerifySettings, 'source'> = {
    module,
    candidate,
    known,
    bindings: model.bindings,
    atol,
    rtol,
    opponent: opponentOf(request),
    noise: options.engine === 'fp32' && (request.against?.options.engine ?? 'fp32') === 'fp32',
    ...(reference && { reference }),
    ...(metric && { metric: { file: metric.file, text: metric.text } }),
    ...(keep !== undefined && { keep }),
    ...(limit !== undefined && { limit }),
  }
  const either = signal ? AbortSignal.any([signal, late.signal]) : late.signal
  let phase: Phase = 'wait'
  const onText = (text: string) => {
    if (Object.hasOwn(phases, text)) phase = text as Phase
  }
  const source = samples && limited(samples.source, limit)
  try {
    return (await runOnInputs(worker, source, {
      name,
      model: model.file,
      settings: { ...settings },
      signal: either,
      onText,
      onStart: late.start,
      modelBytes: modelBytes(model),
    })) as VerifyResult
  } catch (error) {
    throw late.signal.aborted && !signal?.aborted ? outOfTime(request, error) : failure(request, phase, error)
  } finally {
    late.stop()
  }
}

function opponentManifest({ request: { against } }: Contest<ContestRequest>): Candidate | undefined {
  return against && { manifest: against.manifest }
}

function limited(source: SampleSource, limit = source.limit): SampleSource {
  return { ...source, limit: Math.min(limit, source.limit) }
}

function outOfTime(request: ContestRequest, cause: unknown): OnnxEngineError {
  return new OnnxEngineError('VERIFICATION_FAILED', request.name, {
    expected: `a comparison within ${timeoutOf(request) / 1000} s`,
    received: 'none',
    hint: `Raise 'verify.timeout', give fewer samples, or set 'verify: false'`,
    cause,
  })
}

/** The death of the process is a failed inference; any other error stays what it is. */
function failure(request: ContestRequest, phase: Phase, error: unknown): unknown {
  if (!(error instanceof OnnxEngineError) || error.code !== 'COMPILE_FAILED') return error
  const { name, backend, options } = request
  const opponent = opponentOf(request)
  const subject = `${name}: engine=${options.engine} on ${backend} could not be compared with ${opponent}`
  return new OnnxEngineError('INFERENCE_FAILED', `${subject}: ${phases[phase](opponent)}: ${error.message}`, {
    hint: `This says nothing about its accuracy. Use another precision or backend, or set 'verify: false'`,
    cause: error,
  })
}

/** What the child process was doing when it died. */
const phases: Readonly<Record<Phase, (opponent: string) => string>> = {
  wait: () => 'while it read a sample',
  reference: (opponent) => `while it ran ${opponent}`,
  engine: () => 'while it ran the engine',
}

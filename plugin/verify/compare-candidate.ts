import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Countdown } from '../child/countdown.ts'
import { runChild } from '../child/run.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { modelBytes } from '../onnx/size.ts'
import type { FoundSamples } from '../samples/find.ts'
import { runWithSamples } from '../samples/run.ts'
import type { SampleSource } from '../samples/source.ts'
import type { KnownInputs } from './random-inputs.ts'
import { defaultTimeout, type VerifyRequest } from './request.ts'
import type { Phase, VerifyResult, VerifySettings } from './verify-child.ts'

/** What the fp32 model and its candidates run on, and until when. */
export interface Contest {
  readonly request: VerifyRequest
  /** Undefined: random inputs. */
  readonly samples: FoundSamples | undefined
  readonly known: KnownInputs
  /** File URL of the ONNX Runtime module that runs the fp32 model. */
  readonly module: string
  readonly late: Countdown
}

/** An engine, by its manifest, or an ONNX file that ONNX Runtime runs. */
export type Candidate = VerifySettings['candidate']

const worker = new URL('./verify-child.js', import.meta.url)

/**
 * Runs the fp32 model and a candidate on the same inputs, in a child process, and returns how far apart they are.
 *
 * @param limit most samples to use
 * @throws OnnxEngineError VERIFICATION_FAILED when time runs out, INFERENCE_FAILED when the process dies,
 *   SAMPLES_INVALID, COMPILE_ABORTED
 */
export async function compareCandidate(contest: Contest, candidate: Candidate, limit?: number): Promise<VerifyResult> {
  const { request, samples, known, module, late } = contest
  const { model, name, signal, options } = request
  const { atol = null, rtol = null } = options.verify || {}
  const settings: Omit<VerifySettings, 'source'> = {
    module,
    candidate,
    known,
    bindings: model.bindings,
    atol,
    rtol,
    noise: options.engine === 'fp32',
    ...(limit !== undefined && { limit }),
  }
  const either = signal ? AbortSignal.any([signal, late.signal]) : late.signal
  let phase: Phase = 'wait'
  const onText = (text: string) => {
    if (Object.hasOwn(phases, text)) phase = text as Phase
  }
  const job = { settings: { ...settings }, signal: either, onText, onStart: late.start, modelBytes: modelBytes(model) }
  try {
    if (samples) {
      const source = limited(samples.source, limit)
      return (await runWithSamples(worker, source, { ...job, model: model.file })) as VerifyResult
    }
    await using folder = await temporaryFolder()
    const output = join(folder.path, 'result.json')
    await runChild(
      worker,
      { name, model: model.file, output, settings: job.settings },
      {
        signal: either,
        log: (_, text) => onText(text),
        onStart: late.start,
        modelBytes: job.modelBytes,
        what: 'measuring',
      },
    )
    return JSON.parse(await readFile(output, 'utf8')) as VerifyResult
  } catch (error) {
    throw late.signal.aborted && !signal?.aborted ? outOfTime(request, error) : failure(request, phase, error)
  } finally {
    late.stop()
  }
}

function limited(source: SampleSource, limit = source.limit): SampleSource {
  return { ...source, limit: Math.min(limit, source.limit) }
}

function outOfTime({ name, options: { verify } }: VerifyRequest, cause: unknown): OnnxEngineError {
  const { timeout = defaultTimeout } = verify || {}
  return new OnnxEngineError('VERIFICATION_FAILED', name, {
    expected: `a comparison within ${timeout / 1000} s`,
    received: 'none',
    hint: `Raise 'verify.timeout', give fewer samples, or set 'verify: false'`,
    cause,
  })
}

/** The death of the process is a failed inference; any other error stays what it is. */
function failure({ name, options: { engine }, backend }: VerifyRequest, phase: Phase, error: unknown): unknown {
  if (!(error instanceof OnnxEngineError) || error.code !== 'COMPILE_FAILED') return error
  const subject = `${name}: engine=${engine} on ${backend} could not be compared with the fp32 model`
  return new OnnxEngineError('INFERENCE_FAILED', `${subject}: ${phases[phase]}: ${error.message}`, {
    hint: `This says nothing about its accuracy. Use another precision or backend, or set 'verify: false'`,
    cause: error,
  })
}

/** What the child process was doing when it died. */
const phases: Readonly<Record<Phase, string>> = {
  wait: 'while it read a sample',
  reference: 'while it ran the fp32 model',
  engine: 'while it ran the engine',
}

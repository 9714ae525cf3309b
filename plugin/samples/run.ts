import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Json } from '../cache/key.ts'
import type { ChildJob } from '../child/contract.ts'
import { longestTimeout } from '../child/countdown.ts'
import { runForJson } from './run-for-json.ts'
import { type SampleSource, sampleSignals, where } from './source.ts'

/** A task of a child process that reads samples. */
export interface SampleJob {
  /** Structured-cloneable settings for the task; the samples are added as `source`. */
  readonly settings?: ChildJob['settings']
  /** Path of the ONNX file. */
  readonly model?: string
  readonly signal?: AbortSignal | undefined
  /** Receives each text that the task sends. */
  readonly onText?: (text: string) => void
  /** Called when the process starts: there may be a queue before it. */
  readonly onStart?: () => void
  /** Bytes of the model, external data included. */
  readonly modelBytes?: number
}

/**
 * Runs a task that reads samples in a child process and returns the JSON that it writes. The process is killed when a
 * sample does not come in time; the time that the task itself needs between samples does not count.
 *
 * @param worker module of the task
 * @throws OnnxEngineError SAMPLES_INVALID, COMPILE_ABORTED, and what the task throws
 */
export async function runWithSamples(worker: URL, source: SampleSource, job: SampleJob): Promise<Json> {
  const { settings, model = '', signal, onText, onStart, modelBytes } = job
  const late = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const log = (_: string, text: string) => {
    onText?.(text)
    clearTimeout(timer)
    if (text === sampleSignals.wait) timer = setTimeout(() => late.abort(), Math.min(source.timeout, longestTimeout))
  }
  const either = signal ? AbortSignal.any([signal, late.signal]) : late.signal
  try {
    return await runForJson(
      worker,
      { name: source.name, model, settings: { ...settings, source } },
      { signal: either, log, onStart, modelBytes, what: 'measuring' },
    )
  } catch (error) {
    if (!late.signal.aborted || signal?.aborted) throw error
    throw new OnnxEngineError('SAMPLES_INVALID', where(source), {
      expected: `a sample within ${source.timeout / 1000} s`,
      received: 'none',
      hint: `Let it give samples faster, or raise '${source.option}.timeout'`,
      cause: error,
    })
  } finally {
    clearTimeout(timer)
  }
}

/**
 * The same on samples where there are any, else on inputs that the task finds by itself. `name` is that of the model.
 *
 * @throws OnnxEngineError COMPILE_FAILED when the process dies, and what `runWithSamples` throws
 */
export async function runOnInputs(
  worker: URL,
  source: SampleSource | undefined,
  { name, ...job }: SampleJob & { readonly name: string },
): Promise<Json> {
  if (source) return runWithSamples(worker, source, job)
  const { settings = {}, model = '', onText, ...options } = job
  const log = (_: string, text: string) => onText?.(text)
  return runForJson(worker, { name, model, settings }, { ...options, log, what: 'measuring' })
}

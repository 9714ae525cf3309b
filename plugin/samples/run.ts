import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Json } from '../cache/key.ts'
import type { ChildJob } from '../child/contract.ts'
import { longestTimeout } from '../child/countdown.ts'
import { runChild } from '../child/run.ts'
import { inTemporaryFolder } from '../files/temporary-folder.ts'
import { type SampleSource, sampleSignals, where } from './source.ts'

/**
 * Runs a worker that reads samples in a child process and gives the JSON that it writes. It is killed when a sample
 * does not come in time; the time that the worker itself needs between samples does not count.
 *
 * @throws OnnxEngineError SAMPLES_INVALID, COMPILE_ABORTED, and what the worker throws
 */
export async function runWithSamples(
  worker: URL,
  source: SampleSource,
  settings: ChildJob['settings'],
  signal?: AbortSignal,
  model = '',
  { told, started, modelBytes }: ReadingOptions = {},
): Promise<Json> {
  const late = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const log = (_: string, text: string) => {
    told?.(text)
    clearTimeout(timer)
    if (text === sampleSignals.wait) timer = setTimeout(() => late.abort(), Math.min(source.timeout, longestTimeout))
  }
  try {
    return await inTemporaryFolder(async (folder) => {
      const output = join(folder, 'result.json')
      const either = signal ? AbortSignal.any([signal, late.signal]) : late.signal
      await runChild(
        worker,
        { name: source.name, model, output, settings: { ...settings, source } },
        { signal: either, log, started, modelBytes, what: 'measuring' },
      )
      return JSON.parse(await readFile(output, 'utf8')) as Json
    })
  } catch (error) {
    if (!late.signal.aborted || signal?.aborted) throw error
    const hint = `Let it give samples faster, or raise '${source.option}.timeout'`
    throw new OnnxEngineError('SAMPLES_INVALID', where(source), {
      expected: `a sample within ${source.timeout / 1000} s`,
      received: 'none',
      hint,
      cause: error,
    })
  } finally {
    clearTimeout(timer)
  }
}

export interface ReadingOptions {
  /** Hears every text that the worker sends. */
  readonly told?: (text: string) => void
  /** Told when the process starts: there may be a queue before it. */
  readonly started?: () => void
  /** Bytes of the model, external data included. */
  readonly modelBytes?: number
}

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { OnnxEngineError } from '../../../runtime/errors.ts'
import { compile, writeModel } from '../../api.ts'
import { countdown } from '../../child/countdown.ts'
import { runChild } from '../../child/run.ts'
import { temporaryFolder } from '../../files/temporary-folder.ts'
import type { Options } from '../../options/types.ts'
import type { TryRequest, TryResult } from '../contract.ts'
import type { TrySettings } from './try-child.ts'

/** A model file with the options of the engine that runs it. */
export type TryTarget = { readonly file: string; readonly options: Options; readonly query: string }

/** Milliseconds that a run may take, loading included. */
const longestRun = 60_000

/**
 * Runs an engine, which the cache gives or which is compiled first, on the inputs of a page. In a process of its own:
 * the page survives a model that crashes or does not end.
 *
 * @throws OnnxEngineError INPUT_INVALID, INFERENCE_FAILED for a crash or after `limit` milliseconds, and any code of a
 *   build and of an inference
 */
export async function tryModel(
  { file, options, query }: TryTarget,
  request: TryRequest,
  limit = longestRun,
): Promise<TryResult> {
  const compiled = await compile(file, { ...options, verify: false })
  await using folder = await temporaryFolder()
  const model = await writeModel(compiled, folder.path)
  // The child's output has a folder of its own.
  await using results = await temporaryFolder()
  const output = join(results.path, 'result.json')
  const settings: TrySettings = { bindings: compiled.bindings, request, query }
  const job = { name: compiled.name, model, output, settings }
  const modelBytes = compiled.variants.reduce((sum, { artifact }) => sum + artifact.size, 0)
  const time = countdown(limit)
  try {
    const worker = new URL('./try-child.js', import.meta.url)
    await runChild(worker, job, { signal: time.signal, onStart: () => time.start(), modelBytes, what: 'running' })
  } catch (error) {
    throw runFailed(error, compiled.name, time.signal.aborted ? limit : undefined)
  } finally {
    time.stop()
  }
  return JSON.parse(await readFile(output, 'utf8')) as TryResult
}

function runFailed(error: unknown, name: string, limit: number | undefined): unknown {
  if (limit !== undefined) {
    return new OnnxEngineError('INFERENCE_FAILED', `${name}: the model was stopped`, {
      expected: `an inference within ${limit / 1000} s`,
      received: 'none',
      hint: 'Try smaller inputs, or look for a Loop that does not end',
      cause: error,
    })
  }
  // What the process itself reports, such as a crash, has the code of a compiler's.
  const isCrash = error instanceof OnnxEngineError && error.code === 'COMPILE_FAILED'
  return isCrash ? new OnnxEngineError('INFERENCE_FAILED', error.message, { cause: error }) : error
}

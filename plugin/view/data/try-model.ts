import { compile, writeModel } from '../../api.ts'
import { temporaryFolder } from '../../files/temporary-folder.ts'
import type { Options } from '../../options/types.ts'
import type { TryRequest, TryResult } from '../contract.ts'
import { runForPage } from './run-for-page.ts'
import type { TrySettings } from './try-child.ts'

/** A model file with the options of the engine that runs it. */
export type TryTarget = { readonly file: string; readonly options: Options; readonly query: string }

/**
 * Runs an engine, which the cache gives or which is compiled first, on the inputs of a page.
 *
 * @throws OnnxEngineError INPUT_INVALID, INFERENCE_FAILED for a crash or after `limit` milliseconds, and any code of a
 *   build and of an inference
 */
export async function tryModel(
  { file, options, query }: TryTarget,
  request: TryRequest,
  limit?: number,
): Promise<TryResult> {
  const compiled = await compile(file, { ...options, verify: false })
  await using folder = await temporaryFolder()
  const model = await writeModel(compiled, folder.path)
  const settings: TrySettings = { bindings: compiled.bindings, request, query }
  const modelBytes = compiled.variants.reduce((sum, { artifact }) => sum + artifact.size, 0)
  const worker = new URL('./try-child.js', import.meta.url)
  const job = { name: compiled.name, model, settings }
  return (await runForPage(worker, job, { modelBytes, what: 'running' }, limit)) as TryResult
}

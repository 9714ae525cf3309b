import { writeFile, readFile } from 'node:fs/promises'
import { relative } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { onnxruntime } from '../backend/onnxruntime/backend.ts'
import { type Facts, cacheKey, sourceFacts } from '../cache/key.ts'
import { readSource } from '../cache/source.ts'
import type { PassRequest } from '../precision/pass.ts'

/**
 * What ONNX Runtime finds out about a model, as JSON, cached by the model and the facts.
 *
 * @param what names it in the cache's history
 * @param find is given the URL of the ONNX Runtime module
 * @throws OnnxEngineError BACKEND_UNAVAILABLE, and what `find` throws
 */
export async function remembered<T>(
  request: PassRequest,
  what: string,
  facts: Facts,
  find: (module: string) => Promise<T>,
): Promise<T> {
  const { name, model, options, root, store, signal } = request
  const probe = await onnxruntime.probe(options, root)
  if (!probe.available) {
    throw new OnnxEngineError('BACKEND_UNAVAILABLE', `${name}: calibration`, {
      expected: 'ONNX Runtime, which runs the samples',
      received: probe.reason,
      ...(probe.hint && { hint: probe.hint }),
    })
  }
  const key = cacheKey({
    ...sourceFacts((await readSource(model.file, store.statIndex)).source),
    ...facts,
    onnxruntime: probe.version,
  })
  const family = `${relative(root, model.file).replaceAll('\\', '/')} ${what}`
  const { artifact } = await store.getOrBuild({ key, family, label: name, signal }, async (output) => {
    await writeFile(output, JSON.stringify(await find(probe.detail['module'] as string)))
  })
  return JSON.parse(await readFile(artifact.file, 'utf8')) as T
}

import { OnnxEngineError } from '../../runtime/errors.ts'
import { importKeyOf } from '../cache/import-records.ts'
import { cacheKey, type Facts, sourceFacts } from '../cache/key.ts'
import { readSource } from '../cache/source.ts'
import { storedJson } from '../cache/stored-json.ts'
import { hashAround } from '../files/hash.ts'
import type { SampleRequest } from '../samples/request.ts'
import { findReference } from './reference.ts'

/** A measurement: its name in the cache's history, and what decides its result besides the model. */
export interface Measurement {
  readonly name: string
  readonly facts: Facts
}

/**
 * The result of a measurement by ONNX Runtime, as JSON. It is cached by the model and the facts.
 *
 * @param measure receives the file URL of the ONNX Runtime module
 * @throws OnnxEngineError BACKEND_UNAVAILABLE without ONNX Runtime, and what `measure` throws
 */
export async function remember<T>(
  request: SampleRequest,
  measurement: Measurement,
  measure: (module: string) => Promise<T>,
): Promise<T> {
  const { name, model, graphFile, root, store, signal } = request
  const reference = await findReference(request)
  if (!reference.available) {
    throw new OnnxEngineError('BACKEND_UNAVAILABLE', `${name}: calibration`, {
      expected: 'ONNX Runtime, which runs the samples',
      received: reference.reason,
      ...(reference.hint && { hint: reference.hint }),
    })
  }
  const { source } = await readSource(model.file, store.statIndex)
  // Not by the store: a file that another stage wrote is gone when the store compares its files again.
  const rewritten: Facts = graphFile === undefined ? {} : { rewritten: (await hashAround(graphFile, [])).whole }
  const facts = { ...sourceFacts(source), ...rewritten, ...measurement.facts }
  const key = cacheKey({ ...facts, onnxruntime: reference.version })
  const entry = { key, importKey: importKeyOf(root, model.file, measurement.name), label: name, signal }
  return storedJson(store, entry, () => measure(reference.detail.module))
}

import { modelSamples } from '../samples/find.ts'
import type { SampleRequest } from '../samples/request.ts'
import { runWithSamples } from '../samples/run.ts'
import { findReference } from './reference.ts'
import type { Speed, SpeedSettings } from './speed-child.ts'

/**
 * Milliseconds of one inference with the original model and with the lowered one in `file`, on the first sample, by
 * ONNX Runtime on this CPU in a process of its own. Undefined where there is no sample or no ONNX Runtime to measure
 * with.
 */
export async function compareSpeed(file: string, request: SampleRequest): Promise<Speed | undefined> {
  const samples = await modelSamples(request)
  const reference = await findReference(request)
  if (!samples || !reference.available) return undefined
  const settings = { module: reference.detail.module, lowered: file } satisfies Omit<SpeedSettings, 'source'>
  const { model, signal } = request
  const worker = new URL('./speed-child.js', import.meta.url)
  return (await runWithSamples(worker, samples.source, { settings, signal, model: model.file })) as unknown as Speed
}

import { onnxruntime } from '../backend/onnxruntime/backend.ts'
import type { PassRequest } from '../precision/pass.ts'
import { modelSamples } from '../samples/find.ts'
import { runWithSamples } from '../samples/run.ts'
import type { Speed, SpeedSettings } from './speed-child.ts'

/**
 * Milliseconds of one inference with the original model and with the lowered one in `file`, on the first sample, by
 * ONNX Runtime on this CPU in a process of its own. Undefined where there is no sample or no ONNX Runtime to measure
 * with.
 */
export async function compareSpeed(file: string, request: PassRequest): Promise<Speed | undefined> {
  const { model, options, root, signal } = request
  const found = await modelSamples(request)
  const probe = await onnxruntime.probe(options, root)
  if (!found || !probe.available) return undefined
  const settings = { module: probe.detail['module'] as string, lowered: file } satisfies Omit<SpeedSettings, 'source'>
  return (await runWithSamples(
    new URL('./speed-child.js', import.meta.url),
    found.source,
    settings,
    signal,
    model.file,
  )) as unknown as Speed
}

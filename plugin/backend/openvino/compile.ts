import { loadAddon, type DimBounds } from '../../../native/load-addon.ts'
import { OnnxEngineError } from '../../../runtime/errors.ts'
import type { ChildTask } from '../../child/contract.ts'

/** Compiles the model and exports the blob. Runs in the compiler's child process. */
export const run: ChildTask = async ({ name, model, output, settings }) => {
  const { library, ...rest } = settings as unknown as OpenVinoSettings
  const loaded = loadAddon('openvino')
  if ('reason' in loaded) throw new OnnxEngineError('BACKEND_UNAVAILABLE', `${name}: ${loaded.reason}`)
  try {
    await loaded.addon.build(library, { ...rest, model, output })
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    throw new OnnxEngineError('COMPILE_FAILED', `${name}: OpenVINO cannot compile the model: ${text}`, { cause })
  }
}

/** What the child process needs to know. */
export interface OpenVinoSettings {
  /** Path of libopenvino_c. */
  readonly library: string
  readonly device: string
  /** OpenVINO's properties by their own names. */
  readonly properties: Readonly<Record<string, string>>
  readonly shapes: Readonly<Record<string, DimBounds>>
}

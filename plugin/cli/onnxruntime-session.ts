import { chooseRuntime } from '../../runtime/onnxruntime/choose-runtime.ts'

/** In which kind of session this machine runs engines of ONNX Runtime, and why. */
export interface OnnxruntimeSession {
  readonly session: 'native' | 'worker' | 'none'
  readonly reason: string
}

/** Asks the runtime as a model without options would. */
export async function onnxruntimeSession(): Promise<OnnxruntimeSession> {
  const runtime = await chooseRuntime({})
  if ('refused' in runtime) return { session: 'none', reason: runtime.refused }
  if (runtime.session === 'worker') return { session: 'worker', reason: runtime.reason }
  return { session: 'native', reason: `${runtime.library} is ONNX Runtime ${runtime.version}` }
}

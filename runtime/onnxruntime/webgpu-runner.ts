import { existsSync, readdirSync } from 'node:fs'
import { OnnxEngineError } from '../errors.ts'
import type { Bindings, Requirements, VariantManifest } from '../manifest.ts'
import type { EngineFile, OpenOptions, Runner, Session } from '../session.ts'
import { zeroInputs } from '../zero-inputs.ts'
import { chooseRuntime } from './choose-runtime.ts'

/**
 * Runs engines with the WebGPU of onnxruntime-node, for the GPUs of any vendor, in a worker of their own: its calls
 * would hold the event loop for as long as they take.
 */
export const webgpuRunner: Runner<'webgpu'> = { refusal, open }

/** Accepts a driver that computes on the CPU, for tests: it is slower than the CPU without one. */
const softwareVariable = 'UNPLUGIN_ONNX_SOFTWARE_GPU'

async function refusal({ shaderF16 }: Requirements['webgpu']): Promise<string | undefined> {
  // It does not say what the GPU can do, and fails in the middle of a run.
  if (shaderF16) return 'fp16 on WebGPU is for pages: onnxruntime-node does not say whether the GPU has it'
  const runtime = await chooseRuntime({ session: 'worker' })
  if ('refused' in runtime) return runtime.refused
  return hasGpu() ? undefined : 'there is no GPU: neither /dev/dri/render* nor /dev/nvidiactl'
}

// Dawn would take a software driver without a word. Only Linux has one that is installed with ease.
function hasGpu(): boolean {
  if (process.platform !== 'linux' || process.env[softwareVariable]) return true
  if (existsSync('/dev/nvidiactl')) return true
  return existsSync('/dev/dri') && readdirSync('/dev/dri').some((name) => name.startsWith('render'))
}

async function open(
  variant: VariantManifest<'webgpu'>,
  { path }: EngineFile,
  bindings: Bindings,
  options: OpenOptions,
): Promise<Session> {
  const { openWorkerSession } = await import('./worker-session.ts')
  try {
    const session = await openWorkerSession(variant, path, { ...options, workers: options.workers ?? 1 })
    const zeros = zeroInputs(bindings)
    if (zeros) await session.infer(zeros, {})
    return session
  } catch (cause) {
    if (!(cause instanceof OnnxEngineError) || cause.code !== 'INFERENCE_FAILED') throw cause
    throw new OnnxEngineError('BACKEND_UNAVAILABLE', cause.message, { cause })
  }
}

import { OnnxEngineError } from '../errors.ts'
import type { Bindings, Requirements, VariantManifest } from '../manifest.ts'
import type { EngineFile, OpenOptions, Runner, Session, SessionOptions } from '../session.ts'
import { modelSubject, quote } from '../text.ts'
import { chooseRuntime } from './choose-runtime.ts'
import { blockedLayout, saturatesInt8 } from './cpu.ts'

/**
 * Runs engines with ONNX Runtime: in native threads of our own where there is an addon for this machine, otherwise with
 * onnxruntime-node in a worker.
 */
export const onnxruntimeRunner: Runner<'onnxruntime'> = { refusal, open }

async function refusal(
  { version, arch, layout, vnni }: Requirements['onnxruntime'],
  options: SessionOptions,
  readAhead?: () => void,
): Promise<string | undefined> {
  if (arch !== 'any' && arch !== process.arch) return `compiled for ${arch}, this machine is ${process.arch}`
  if (layout !== 0 && layout !== blockedLayout())
    return `weights laid out for CPUs ${layout === 16 ? 'with' : 'without'} AVX-512, which this one is not`
  if (vnni && saturatesInt8())
    return 'int8 for CPUs with VNNI, which this one is not known to have: its sums would overflow'
  const runtime = await chooseRuntime(options, () => {
    readAhead?.()
    // Whoever opens a session gets the error.
    nativeSession().catch(() => undefined)
  })
  if ('refused' in runtime) return runtime.refused
  const [major = 0, minor = 0] = numbers(runtime.version)
  const [wantedMajor = 0, wantedMinor = 0] = numbers(version)
  if (major === wantedMajor && (layout === 0 ? minor >= wantedMinor : minor === wantedMinor)) return undefined
  const found =
    runtime.session === 'native' && runtime.named
      ? `${runtime.library} is ${runtime.version}`
      : `onnxruntime-node ${runtime.version} is installed`
  return `compiled by ONNX Runtime ${version}, but ${found}: install ${version} or compile again`
}

function numbers(version: string): number[] {
  return version.split('.').map(Number)
}

// Only the modules that are needed are loaded: a start is quicker without those of workers.
const nativeSession = () => import('./native-session.ts')

async function open(
  variant: VariantManifest<'onnxruntime'>,
  engine: EngineFile,
  bindings: Bindings,
  options: OpenOptions,
): Promise<Session> {
  const runtime = await chooseRuntime(options)
  if ('refused' in runtime)
    throw new OnnxEngineError('BACKEND_UNAVAILABLE', `model ${JSON.stringify(options.model)}: ${runtime.refused}`)
  if (runtime.session === 'native') {
    const { openNativeSession } = await nativeSession()
    return openNativeSession(runtime, { engine, bindings, options })
  }
  refuseBfloat16(bindings, runtime.reason, options.model)
  const { openWorkerSession } = await import('./worker-session.ts')
  return openWorkerSession(variant, engine.path, options)
}

// Not BACKEND_UNAVAILABLE: the next engine of ONNX Runtime would be refused for the same reason.
function refuseBfloat16({ inputs, outputs }: Bindings, reason: string, model: string): void {
  const roles = [
    ...inputs.map((input) => ['input', input] as const),
    ...outputs.map((output) => ['output', output] as const),
  ]
  const found = roles.find(([, { dtype }]) => dtype === 'bfloat16')
  if (!found) return
  const [role, { name }] = found
  throw new OnnxEngineError('MODEL_UNSUPPORTED', `${modelSubject(model)}, ${role} ${quote(name)}`, {
    expected: 'a native session of ONNX Runtime, because onnxruntime-node has no tensors of bfloat16',
    received: `a worker: ${reason}`,
    hint:
      'Run it where there is a native session (`unplugin-onnx doctor` says why there is none), or export the model ' +
      'with float32 inputs and outputs',
  })
}

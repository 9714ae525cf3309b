import { isOnnxEngineError } from '../errors.ts'
import type { ModelManifest, Requirements } from '../manifest.ts'
import { noVariantError } from '../no-variant.ts'
import type { NoVariant, OpenedVariant } from '../opened-variant.ts'
import type { Session } from '../session.ts'
import type { OnProgress, SkippedVariant } from '../types.ts'
import { type EngineWorker, engineWorkerOf } from './engine-worker.ts'
import type { WebLibrary } from './library.ts'
import { page } from './page.ts'
import { openWebSession, type WebVariant } from './session.ts'

// A module with one function that makes a vector: (module (func (result v128) i32.const 0 i8x16.splat)).
const simdModule = Uint8Array.from([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11,
])

/** Opens the first variant that this browser can run. Throws NO_VARIANT with the reasons, and ARTIFACT_INVALID. */
export async function openInPage(
  manifest: ModelManifest,
  library: WebLibrary,
  onProgress: OnProgress,
): Promise<OpenedVariant> {
  const opened = await openAfter({ manifest, worker: engineWorkerOf(library), onProgress }, [])
  if ('session' in opened) return opened
  throw noVariantError(manifest.name, opened.skipped, {
    expected: 'a variant that this browser can run',
    hint: 'Use a browser with WebAssembly SIMD (all since 2021), or add "wasm" to the backends of the build.',
  })
}

interface PageModel {
  readonly manifest: ModelManifest
  readonly worker: EngineWorker
  readonly onProgress: OnProgress
}

/** Opens the first variant after those that were skipped. */
async function openAfter(model: PageModel, before: readonly SkippedVariant[]): Promise<OpenedVariant | NoVariant> {
  const { variants } = model.manifest
  const skipped = [...before]
  for (const variant of variants.slice(before.length)) {
    const { backend, engine } = variant
    const session = await tryOpen(model, variant)
    if (typeof session !== 'string') {
      const earlier = [...skipped]
      const next = (reason: string) => openAfter(model, [...earlier, { backend, engine, reason }])
      const isLast = variant === variants.at(-1)
      return {
        session,
        variant: { backend, engine, session: session.kind, skipped: earlier },
        ...(!isLast && { next }),
      }
    }
    skipped.push({ backend, engine, reason: session })
  }
  return { skipped }
}

/** The session of a variant, or why there is none. */
async function tryOpen(
  { manifest: { name, bindings }, worker, onProgress }: PageModel,
  variant: ModelManifest['variants'][number],
): Promise<Session | string> {
  if (!isForPages(variant)) return 'it runs in Node.js'
  const reason = await refusal(variant, worker)
  if (reason !== undefined) return reason
  const onBytes = countBytes(variant.size, worker.isStarted ? 0 : worker.library.wasm.size, onProgress)
  try {
    return await openWebSession({ model: name, variant, bindings, worker, onBytes })
  } catch (error) {
    // A GPU that cannot run the graph: the CPU can.
    if (variant.backend !== 'webgpu' || !isOnnxEngineError(error) || error.code !== 'INFERENCE_FAILED') throw error
    return error.message
  }
}

function isForPages(variant: ModelManifest['variants'][number]): variant is WebVariant {
  return variant.backend === 'wasm' || variant.backend === 'webgpu'
}

async function refusal(variant: WebVariant, worker: EngineWorker): Promise<string | undefined> {
  const { library } = worker
  if (!page.WebAssembly) return 'this browser has no WebAssembly'
  if (!page.WebAssembly.validate(simdModule)) return 'this browser has no WebAssembly SIMD'
  if (library.webgpu === 'jspi' && !('Suspending' in page.WebAssembly))
    return `this browser has no JSPI: build with the option 'web.webgpu': 'asyncify'`
  if (!isAsNew(library.version, variant.requires.version))
    return `compiled by ONNX Runtime ${variant.requires.version}, but onnxruntime-web is ${library.version}`
  return variant.backend === 'webgpu' ? webGpuRefusal(variant.requires, worker) : undefined
}

async function webGpuRefusal({ shaderF16 }: Requirements['webgpu'], worker: EngineWorker): Promise<string | undefined> {
  const { webgpu, allowSoftware = false } = worker.library
  if (!webgpu) return `the library of this page has no WebGPU: build with the option 'web.webgpu'`
  const running = await worker.start(() => {})
  const reply = await running.send({ kind: 'adapter', allowSoftware, shaderF16: shaderF16 === true }, [])
  return reply.error?.message ?? reply.refusal
}

function isAsNew(version: string, writer: string): boolean {
  const [major, minor = 0] = version.split('.').map(Number)
  const [writerMajor, writerMinor = 0] = writer.split('.').map(Number)
  return major === writerMajor && minor >= writerMinor
}

function countBytes(engine: number, wasm: number, onProgress: OnProgress) {
  const received = { engine: 0, wasm: 0 }
  const expected = engine + wasm
  const count = (file: keyof typeof received) => (bytes: number) => {
    received[file] = wasm === 0 && file === 'wasm' ? 0 : bytes
    onProgress({ received: received.engine + received.wasm, expected })
  }
  return { engine: count('engine'), wasm: count('wasm') }
}

import { engineFile, pathOf, placeText } from './artifact.ts'
import { OnnxEngineError } from './errors.ts'
import type { BackendName, ModelManifest, VariantManifest } from './manifest.ts'
import { noVariantError } from './no-variant.ts'
import type { NoVariant, OpenedVariant } from './opened-variant.ts'
import type { LoadOptions } from './options.ts'
import type { OpenOptions, Runner, Session } from './session.ts'
import { modelSubject, quote } from './text.ts'
import type { SkippedVariant } from './types.ts'

// Loaded when a variant needs it: importing a model must cost nothing before the model is used.
const runners: { readonly [B in BackendName]?: () => Promise<Runner<B>> } = {
  tensorrt: async () => (await import('./tensorrt/runner.ts')).tensorrtRunner,
  'tensorrt-rtx': async () => (await import('./tensorrt/runner.ts')).tensorrtRtxRunner,
  openvino: async () => (await import('./openvino/runner.ts')).openvinoRunner,
  onnxruntime: async () => (await import('./onnxruntime/runner.ts')).onnxruntimeRunner,
  webgpu: async () => (await import('./onnxruntime/webgpu-runner.ts')).webgpuRunner,
}

/** Options of `loadModel`, and those that only tools of this package have. */
type VariantOptions = LoadOptions & Pick<OpenOptions, 'timed'>

/**
 * Opens the first variant that this machine can run; `folder` is the manifest's own. Throws NO_VARIANT with a reason
 * for each variant, and ARTIFACT_INVALID for an engine that is not the one that was shipped.
 */
export async function openVariant(
  manifest: ModelManifest,
  folder: string,
  options: VariantOptions,
): Promise<OpenedVariant> {
  const result = await tryVariants(manifest, folder, options)
  if ('session' in result) return result
  throw noVariantError(manifest.name, result.skipped, {
    expected:
      options.require === undefined
        ? 'a variant that this machine can run'
        : `a variant of ${options.require} that this machine can run`,
    hint: manifest.variants.some((variant) => variant.backend === 'onnxruntime')
      ? 'Follow the reason of a variant above, or compile the model on this kind of machine.'
      : 'Add "onnxruntime" to the backends of the build: it runs on every CPU.',
  })
}

/**
 * The first variant that this machine can run, or why it can run none of them. Throws ARTIFACT_INVALID.
 *
 * @param tried the variants at the beginning of the manifest that are not to be tried again
 */
export async function tryVariants(
  manifest: ModelManifest,
  folder: string,
  options: VariantOptions,
  tried: readonly SkippedVariant[] = [],
): Promise<OpenedVariant | NoVariant> {
  const skipped = [...tried]
  for (const variant of manifest.variants.slice(tried.length)) {
    const { backend, engine } = variant
    const path = pathOf(variant.file, folder)
    if (path === undefined) throw noFileError(manifest.name, variant)
    const result = await tryOpen(variant, path, manifest, options)
    if (typeof result !== 'string') {
      const next = (reason: string) => tryVariants(manifest, folder, options, [...skipped, { backend, engine, reason }])
      const isLast = skipped.length === manifest.variants.length - 1
      return {
        session: result,
        variant: { backend, engine, session: result.kind, skipped },
        next: isLast ? undefined : next,
      }
    }
    skipped.push({ backend, engine, reason: result })
  }
  return { skipped }
}

async function tryOpen<B extends BackendName>(
  variant: VariantManifest<B>,
  path: string,
  manifest: ModelManifest,
  options: VariantOptions,
): Promise<Session | string> {
  const engine = engineFile(path, variant, manifest.name)
  const refusal = await refusalOf(variant, options, () => {
    // Whoever opens the engine gets the error.
    engine.read().catch(() => undefined)
  })
  if (refusal !== undefined) return refusal
  const runner = await runners[variant.backend as B]!()
  try {
    return await runner.open(variant, engine, manifest.bindings, { ...options, model: manifest.name })
  } catch (error) {
    if (error instanceof OnnxEngineError && error.code === 'BACKEND_UNAVAILABLE') return error.message
    throw error
  }
}

/**
 * Why this machine or these options rule a variant out, as far as that shows without its file; undefined when nothing
 * does.
 */
export async function refusalOf<B extends BackendName>(
  variant: VariantManifest<B>,
  options: LoadOptions,
  readAhead?: () => void,
): Promise<string | undefined> {
  const backend = variant.backend as B
  if (options.require !== undefined && options.require !== backend) return `${quote(options.require)} is required`
  const runner = Object.hasOwn(runners, backend) ? await runners[backend]?.() : undefined
  if (!runner) return backend === 'wasm' ? 'it runs in pages' : 'this version of unplugin-onnx cannot run it'
  return runner.refusal(variant.requires, options, readAhead)
}

function noFileError(model: string, { backend, engine, file }: VariantManifest): OnnxEngineError {
  const subject = `${modelSubject(model)}, engine file of ${backend} ${engine}`
  return new OnnxEngineError('ARTIFACT_INVALID', subject, {
    expected: 'a path or a file: URL of this machine',
    received: placeText(file),
    hint: 'Build for Node.js: engines are read from disk.',
  })
}

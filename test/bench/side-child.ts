import { setTimeout } from 'node:timers/promises'
import { loadModel, type InferOptions, type LoadOptions } from 'unplugin-onnx/runtime'
// One side of a comparison in a process of its own, since the idle threads of ONNX Runtime and OpenVINO spin and slow
// other sessions down: `side-child.js <manifest.json or model.onnx> <input> <dims> <load options>`. Answers each
// request of its parent with milliseconds.
import { loopDelayDuring, timed } from '../../plugin/bench/measure-calls.ts'
import { answerRequests } from '../../plugin/bench/measured-process.ts'
import type { SideRequest } from './side.ts'

const [, , file = '', input = '', dimsText = '', optionsText = '{}'] = process.argv
const dims = dimsText.split('x').map(Number)
const data = Float32Array.from({ length: dims.reduce((product, dim) => product * dim, 1) }, (_, index) =>
  Math.sin(index),
)

type Run = (options?: InferOptions) => Promise<unknown>

interface Opened {
  readonly run: Run
  readonly runSync?: () => unknown
}

const measurements: Readonly<Record<SideRequest['what'], (opened: Opened, calls: number) => Promise<number>>> = {
  async call({ run }, calls) {
    const total = await timed(async () => {
      for (let call = 0; call < calls; call++) await run()
    })
    return total / calls
  },
  async sync({ runSync }, calls) {
    const total = await timed(async () => {
      for (let call = 0; call < calls; call++) runSync?.()
    })
    return total / calls
  },
  async memory({ run }, calls) {
    await Promise.all(Array.from({ length: calls }, () => run()))
    return process.memoryUsage.rss() / 1e6
  },
  async abort({ run }, calls) {
    let spent = 0
    for (let call = 0; call < calls; call++) {
      const controller = new AbortController()
      const running = run({ signal: controller.signal }).catch(() => undefined)
      await setTimeout(5)
      const before = process.cpuUsage()
      controller.abort()
      await running
      // Whatever still runs would have ended by then.
      await setTimeout(250)
      const { user, system } = process.cpuUsage(before)
      spent += (user + system) / 1000
    }
    return spent / calls
  },
  together: ({ run }, calls) => timed(() => Promise.all(Array.from({ length: calls }, () => run()))),
  delay: ({ run }, calls) => loopDelayDuring(calls, () => run()),
}

const opened = await open()
answerRequests<SideRequest>(async ({ what, calls }) => {
  // Wakes the threads that slept while the other side was measured.
  await opened.run()
  return measurements[what](opened, calls)
})

async function open(): Promise<Opened> {
  if (file.endsWith('.json')) {
    const model = await loadModel(file, JSON.parse(optionsText) as LoadOptions)
    await model.load()
    const inputs = { [input]: { data, dims } }
    return { run: (options) => model.infer(inputs, options), runSync: () => model.inferSync?.(inputs) }
  }
  const { default: ort } = await import('onnxruntime-node')
  const session = await ort.InferenceSession.create(file)
  const tensor = new ort.Tensor('float32', data, dims)
  return { run: () => session.run({ [input]: tensor }) }
}

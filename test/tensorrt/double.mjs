// Runs in a worker or a process of its own, on the double of the GPU: what ends it decides what is tested.
import { createRequire } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'

const [addon, how] = workerData ?? process.argv.slice(2)
const double = createRequire(import.meta.url)(addon)
const input = { bytes: new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer), dims: [4] }
const engine = double.load('fixed', 2, true, how === 'slow' || how === 'exit' ? 20 : 0)
const calls = Array.from({ length: how === 'idle' ? 1 : 20 }, () => engine.infer([input], how === 'slow').outputs)
if (how === 'exit') process.exit(3)
if (how === 'slow') {
  await calls[0]
  parentPort.postMessage('busy', [])
}
await Promise.all(calls)
if (how === 'garbage') {
  globalThis.gc()
  for (let i = 0; i < 50; i++) double.load('fixed', 2, true, 0)
  for (let turn = 0; turn < 20 && double.devicesInUse() > 1; turn++) {
    globalThis.gc()
    await new Promise((resolve) => setImmediate(resolve))
  }
  process.stdout.write(String(double.devicesInUse()))
}

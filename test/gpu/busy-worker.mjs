// Has many inferences in flight when it is terminated.
import { parentPort, workerData } from 'node:worker_threads'
import { createModel } from 'unplugin-onnx/runtime'

const { manifest, backend, dims } = workerData
const model = createModel(manifest, { require: backend })
await model.load()
const data = new Float32Array(dims.reduce((product, dim) => product * dim, 1))
const calls = Array.from({ length: 64 }, () => model.infer({ x: { data, dims } }))
parentPort.postMessage('busy', [])
await Promise.all(calls)

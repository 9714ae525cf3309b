// Prints the mean milliseconds of a call: `servers-child.js <url> <dims> <calls> <callers>`.
import { connectServer } from 'unplugin-onnx/remote'
import type { Model } from 'unplugin-onnx/runtime'
import { timed } from '../../plugin/bench/measure-calls.ts'
import { inputOf } from './models.ts'

const [, , url = '', dimsText = '', calls = '', callers = ''] = process.argv
const dims = dimsText.split('x').map(Number)
await using model = await connectServer<Model>({ url, model: 'cls' })
const [{ name = '' } = {}] = model.bindings.inputs
const inputs = { [name]: { data: inputOf({ dims }), dims } }

async function callTimes(count: number): Promise<void> {
  for (let call = 0; call < count; call++) await model.infer(inputs)
}

await callTimes(20)
const each = Math.ceil(Number(calls) / Number(callers))
const total = await timed(() => Promise.all(Array.from({ length: Number(callers) }, () => callTimes(each))))
console.log(total / (each * Number(callers)))

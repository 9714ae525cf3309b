// The loop of `bench` and a bare one in turn, on one engine: `bench-overhead-child.js <manifest.json>`. Prints the mean
// time of a call in each round, in milliseconds.
import { loadModel } from 'unplugin-onnx/runtime'
import { measureCalls, timed } from '../../plugin/bench/measure-calls.ts'

const model = await loadModel(process.argv[2] ?? '')
await model.load()
const inputs = { x: { data: Float32Array.of(1, 2, 3, 4), dims: [1, 4] } }
const run = () => model.infer(inputs)
const calls = 2000
const ours: number[] = []
const peer: number[] = []
for (let round = 0; round <= 60; round++) {
  const { elapsed } = await measureCalls(run, { milliseconds: 0, calls })
  const bare = await timed(async () => {
    for (let call = 0; call < calls; call++) await run()
  })
  if (round < 10) continue
  ours.push(elapsed / calls)
  peer.push(bare / calls)
}
console.log(JSON.stringify({ ours, peer }))

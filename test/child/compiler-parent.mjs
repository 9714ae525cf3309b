// A process that compiles, for tests of what happens when it ends: `compiler-parent.mjs OUTPUT`. It sends the
// compiler's process id, and exits when it is told to.
import { runChild } from '../../dist/plugin/child/run.js'

const worker = new URL('./compiler-worker.mjs', import.meta.url)
const log = (_, text) => process.send(Number(text.slice('pid '.length)))
process.once('message', () => process.exit())
await runChild(
  worker,
  { name: 'pose', model: 'pose.onnx', output: process.argv[2], settings: { does: 'writes half an engine for ever' } },
  { log },
)

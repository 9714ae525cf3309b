// A program that ends while its model works. usage: node exiting.mjs MANIFEST MODE MILLISECONDS
import { loadModel } from '../../dist/runtime/index.js'

const [manifest, mode, moment] = process.argv.slice(2)
const ends = {
  /** Ends by itself, with a call in flight and a model that nobody disposes of. */
  return: () => {},
  exit: () => process.exit(0),
  'exit in time': () => setTimeout(() => process.exit(0), Number(moment)),
  throw: () => {
    process.on('uncaughtException', () => process.exit(7))
    setTimeout(() => {
      throw new Error('the end')
    }, Number(moment))
  },
}

const model = await loadModel(manifest)
const input = { x: { data: Float32Array.of(1, 2, 3, 4), dims: [1, 4] } }
const calls = Array.from({ length: 1 + (Number(moment) % 4) }, () => model.infer(input))
for (const call of calls) call.catch(() => {})
if (Number(moment) % 2 === 0) await calls[0]
ends[mode]()

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { repository } from '../support/python.ts'

// One quantization in a fresh process: `int8-child.js from.onnx to.onnx 'samples/*.npy' cache [method]`. Uses the built
// package, whose workers need their own files.
const [, , from = '', to = '', samples = '', dir = '', method] = process.argv
const { int8Pass } = await built<typeof import('../../plugin/precision/int8/pass.ts')>('plugin/precision/int8/pass.js')
const { loadGraph } = await built<typeof import('../../plugin/onnx/graph.ts')>('plugin/onnx/graph.js')
const { readModel } = await built<typeof import('../../plugin/onnx/model.ts')>('plugin/onnx/model.js')
const { writeGraph } = await built<typeof import('../../plugin/onnx/write.ts')>('plugin/onnx/write.js')
const { openStore } = await built<typeof import('../../plugin/cache/store.ts')>('plugin/cache/store.js')
const { compileOptions, resolveOptions } =
  await built<typeof import('../../plugin/options/resolve.ts')>('plugin/options/resolve.js')

const options = resolveOptions({
  calibration: { samples, ...(method && { method: method as 'minmax' }) },
  cache: { dir },
})
const graph = await loadGraph(from)
const { notes } = await int8Pass.lower(graph, {
  name: 'bench',
  model: await readModel(from),
  options: compileOptions(options, { file: from, query: {} }),
  backend: 'onnxruntime',
  label: '',
  lowering: 'compute',
  root: repository,
  store: openStore({ ...options.cache, warn: console.error }),
  log: console.error,
  warn: console.error,
})
await writeGraph(graph, to)
console.log(notes.join('\n'))

async function built<T>(path: string): Promise<T> {
  return (await import(pathToFileURL(join(repository, 'dist', path)).href)) as T
}

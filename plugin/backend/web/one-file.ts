import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { OnnxEngineError } from '../../../runtime/errors.ts'
import type { ChildTask } from '../../child/contract.ts'
import { loadGraph } from '../../onnx/graph.ts'
import { writeGraph } from '../../onnx/write.ts'

/** Writes the model with all of its weights into one file, as a page loads it. Runs in the compiler's child process. */
export const run: ChildTask = async ({ name, model, output }) => {
  const graph = await loadGraph(model)
  await writeGraph({ ...graph, external: false }, output)
  const data = `${output}.data`
  if (!existsSync(data)) return
  await rm(data)
  throw new OnnxEngineError('MODEL_UNSUPPORTED', `${name}: an engine for webgpu`, {
    expected: 'a model of less than 2 GiB, which is the longest file of ONNX',
    received: 'a longer one',
    hint: 'Import it with a lower precision, such as ?engine=fp16',
  })
}

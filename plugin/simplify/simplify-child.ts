import { dirname } from 'node:path'
import type { BackendName, Bindings } from '../../runtime/manifest.ts'
import type { ChildTask } from '../child/contract.ts'
import type { Onnxruntime } from '../measure/feed.ts'
import { fixGraph } from '../onnx/fix-graph.ts'
import { loadGraph } from '../onnx/graph.ts'
import { writeGraph } from '../onnx/write.ts'
import { simplifyGraph } from './simplify-graph.ts'

/** Settings for the simplifying process. */
export interface SimplifySettings {
  /** File URL of the ONNX Runtime module that computes constants; null without one. */
  readonly module: string | null
  readonly bindings: Bindings
  readonly backend: BackendName
  /** Bytes of the model, external data included. */
  readonly bytes: number
}

/** Simplifies a model. Runs in a child process, because ONNX Runtime computes its constants. */
export const run: ChildTask = async ({ model, output, settings }) => {
  const { module, bindings, bytes, backend } = settings as unknown as SimplifySettings
  const graph = await loadGraph(model)
  fixGraph(graph, bindings)
  const loaded = module === null ? undefined : ((await import(module)) as { default: Onnxruntime })
  const inference = loaded && { ort: loaded.default, folder: dirname(output) }
  await simplifyGraph(graph, { bytes, inference, backend })
  await writeGraph({ ...graph, external: false }, output)
}

import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import ort from 'onnxruntime-node'
import type { Onnxruntime } from '../../plugin/measure/feed.ts'
import { loadGraph, scopesOf } from '../../plugin/onnx/graph.ts'
import type { Node } from '../../plugin/onnx/proto.ts'
import { writeGraph } from '../../plugin/onnx/write.ts'
import { simplifyGraph } from '../../plugin/simplify/simplify-graph.ts'
import type { BackendName } from '../../runtime/manifest.ts'
import { type ModelSpec, onnxModel } from '../support/models.ts'

/** Writes a model into a folder, named after the case. */
export function writeCase(folder: string, name: string, model: ModelSpec): string {
  const file = join(folder, `${name.replaceAll(/\W+/g, '-')}.onnx`)
  writeFileSync(file, onnxModel({ opset: 17, ...model }))
  return file
}

/** Writes what a backend gets of a model; returns its nodes, those of bodies too. */
export async function simplified(file: string, output: string, backend: BackendName): Promise<readonly Node[]> {
  const model = await loadGraph(file)
  const inference = { ort: ort as unknown as Onnxruntime, folder: dirname(output) }
  await simplifyGraph(model, { bytes: 1000, inference, backend })
  await writeGraph(model, output)
  return scopesOf(model).flatMap(({ graph }) => graph.node)
}

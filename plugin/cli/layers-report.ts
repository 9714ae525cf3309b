import { readFile } from 'node:fs/promises'
import * as v from 'valibot'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Layer } from '../backend/layers.ts'
import { columns, plain } from '../terminal/table.ts'

const tensors = v.array(v.object({ name: v.string(), dtype: v.string(), dims: v.string(), format: v.string() }))

const layersSchema: v.GenericSchema<unknown, Layer[]> = v.array(
  v.object({
    name: v.string(),
    kind: v.string(),
    tactic: v.string(),
    inputs: tensors,
    outputs: tensors,
    nodes: v.array(v.string()),
  }),
)

/** Reads the layers that `writeModel` wrote next to an engine. Throws MODEL_INVALID for another file. */
export async function readLayers(file: string): Promise<readonly Layer[]> {
  const text = await readFile(file, 'utf8').catch((cause: Error) => {
    throw new OnnxEngineError('MODEL_NOT_FOUND', file, { expected: 'the layers of an engine', received: cause.message })
  })
  try {
    return v.parse(layersSchema, JSON.parse(text))
  } catch (cause) {
    throw new OnnxEngineError('MODEL_INVALID', file, {
      expected: 'the layers of an engine, as `unplugin-onnx build` writes them',
      received: 'another file',
      cause,
    })
  }
}

/** Text of `unplugin-onnx inspect` for layers: what each makes, and the nodes that became it. */
export function layersReport(layers: readonly Layer[]): string {
  const rows = layers.map(({ name, kind, outputs, nodes }) => [
    plain(kind),
    plain(outputs.map(({ dtype, dims }) => `${dtype}[${dims}]`).join(' ')),
    plain(nodes.length > 0 ? nodes.join(' ') : name),
  ])
  return [`${layers.length} layers`, ...columns(rows)].join('\n')
}

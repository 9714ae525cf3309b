import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { OnnxEngineError, textOf } from '../../runtime/errors.ts'
import type { ChildTask } from '../child/contract.ts'
import { type EditableModel, indexScope, loadGraph } from '../onnx/graph.ts'
import { innerValues, markOutputs } from '../onnx/mark-outputs.ts'
import { int64, newMessage } from '../onnx/proto.ts'
import { writeGraph } from '../onnx/write.ts'
import type { Shapes } from '../options/types.ts'

/** Settings for the process that infers shapes. */
export interface ShapeSettings {
  /** File URL of the ONNX Runtime module. */
  readonly module: string
  /** Dims of the inputs. */
  readonly shapes: Shapes
}

/** The dims of a value by its name; null for one that is not static. */
export type InferredShapes = readonly (readonly [name: string, dims: readonly (number | null)[]])[]

interface Onnxruntime {
  readonly InferenceSession: { create(file: string, options: object): Promise<Session> }
}

interface Session {
  readonly outputMetadata: readonly { readonly name: string; readonly shape?: readonly (number | string)[] }[]
}

/**
 * Writes the shapes of all values of the main graph, as ONNX Runtime infers them. The graph has inputs instead of
 * weights, so that their bytes are never read, and every value is an output, whose shape the session reports. Runs in a
 * child process.
 */
export const run: ChildTask = async ({ name, model, output, settings }) => {
  const { module, shapes } = settings as unknown as ShapeSettings
  const graph = await loadGraph(model)
  weightsToInputs(graph)
  fixInputs(graph, shapes)
  markOutputs(graph, innerValues(graph))
  const file = join(dirname(output), 'shapes.onnx')
  await writeGraph({ ...graph, external: false }, file)
  const { default: ort } = (await import(module)) as { default: Onnxruntime }
  // 'basic' folds constants, which computed shapes need; higher levels would change the nodes.
  const options = {
    graphOptimizationLevel: 'basic',
    executionProviders: ['cpu'],
    logSeverityLevel: 4,
    intraOpNumThreads: 1,
  }
  const session = await ort.InferenceSession.create(file, options).catch((cause: unknown) => {
    throw new OnnxEngineError('COMPILE_FAILED', `${name}: ONNX Runtime refuses the graph: ${textOf(cause)}`, { cause })
  })
  const inferred: InferredShapes = session.outputMetadata.flatMap(({ name: value, shape }) =>
    shape ? [[value, shape.map((dim) => (typeof dim === 'number' && dim >= 0 ? dim : null))]] : [],
  )
  await writeFile(output, JSON.stringify(inferred))
}

/** Makes an input of each weight whose bytes are still in a file. Small ones stay: they may be shapes. */
function weightsToInputs({ proto: { graph } }: EditableModel): void {
  const { constants, producers } = indexScope({ graph })
  const present = new Set(graph.input.map(({ name }) => name))
  const large = new Map([...constants].filter(([, { elsewhere }]) => elsewhere.length > 0))
  for (const [name, { dataType, dims }] of large) {
    if (present.has(name)) continue
    const dim = dims.map((dimValue) => newMessage('DimensionProto', { dimValue }))
    const shape = newMessage('TensorShapeProto', { dim })
    const tensorType = newMessage('TensorTypeProto', { elemType: dataType, shape })
    graph.input.push(newMessage('ValueInfoProto', { name, type: newMessage('TypeProto', { tensorType }) }))
  }
  const replaced = new Set([...large.keys()].flatMap((name) => producers.get(name) ?? []))
  graph.node = graph.node.filter((node) => !replaced.has(node))
  graph.initializer = graph.initializer.filter(({ name }) => !large.has(name))
}

function fixInputs({ proto: { graph } }: EditableModel, shapes: Shapes): void {
  for (const { name, type } of graph.input) {
    const dims = Object.hasOwn(shapes, name) ? shapes[name] : undefined
    if (!dims || !type?.tensorType) continue
    const dim = dims.map((value) => newMessage('DimensionProto', { dimValue: int64(value) }))
    type.tensorType.shape = newMessage('TensorShapeProto', { dim })
  }
}

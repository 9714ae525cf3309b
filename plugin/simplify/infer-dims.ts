import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { dtypes } from '../../runtime/dtype.ts'
import type { Onnxruntime } from '../measure/feed.ts'
import { newNode } from '../onnx/edit.ts'
import { bodies, type EditableModel, loadGraph, type Scope, scopesOf } from '../onnx/graph.ts'
import { decodeMessage, encodeMessage, int64, type Message, newMessage, safeInteger } from '../onnx/proto.ts'
import { inferTypes } from '../onnx/types.ts'
import { writeGraph } from '../onnx/write.ts'

/** The dims of values by name, as far as they are known whatever the model runs on; undefined for a dim that is not. */
export type KnownDims = ReadonlyMap<string, readonly (number | undefined)[]>

/** ONNX Runtime to ask, and a folder for files. */
export interface Inference {
  readonly ort: Onnxruntime
  readonly folder: string
}

/**
 * The dims that ONNX Runtime infers from the inputs of a model and its small constants. Dims that the model declares
 * for other values do not count: exporters write wrong ones. Undefined when ONNX Runtime cannot load the model.
 */
export async function inferDims(model: EditableModel, { ort, folder }: Inference): Promise<KnownDims | undefined> {
  const [source, saved] = [join(folder, 'dims.onnx'), join(folder, 'dims.saved.onnx')]
  try {
    await writeGraph({ ...declaring(model), external: false }, source)
    const session = await ort.InferenceSession.create(source, { ...quick, optimizedModelFilePath: saved })
    await session.release()
    return readDims(await loadGraph(saved))
  } catch {
    return undefined
  } finally {
    await rm(source, { force: true })
    await rm(saved, { force: true })
  }
}

/** Options of a session that runs a graph as it is, once. */
export const quick = {
  executionProviders: ['cpu'],
  graphOptimizationLevel: 'disabled',
  logSeverityLevel: 4,
  intraOpNumThreads: 1,
} as const

/** A copy of the model without long weights, in which every value is declared without its dims. */
function declaring(model: EditableModel): EditableModel {
  const types = inferTypes(model)
  const proto = decodeMessage('ModelProto', encodeMessage('ModelProto', model.proto)) as EditableModel['proto']
  const copy = { ...model, proto }
  const originals = scopesOf(model)
  scopesOf(copy).forEach((scope, index) => {
    const { graph } = scope
    const typeOf = (name: string) => types.of(originals[index]!, name)
    if (scope.parent) dropDims([...graph.input, ...graph.output])
    else {
      dropDims(graph.output)
      graph.input.push(...longWeights(graph))
    }
    const outputs = new Set(graph.output.map(({ name }) => name))
    graph.valueInfo = graph.node
      .flatMap(({ output }) => output)
      .filter((name) => name !== '' && !outputs.has(name))
      .flatMap((name) => {
        const dtype = typeOf(name)
        return typeof dtype === 'string' ? [declared(name, dtypes[dtype].code)] : []
      })
  })
  addTouch(proto)
  return copy
}

function dropDims(values: readonly Message<'ValueInfoProto'>[]): void {
  for (const { type } of values) if (type?.tensorType) type.tensorType.shape = null
}

/** Turns weights that are not in memory into inputs: their dims are enough, and nothing is read or written. */
function longWeights(graph: Message<'GraphProto'>): Message<'ValueInfoProto'>[] {
  const long = graph.initializer.filter(({ elsewhere, dims }) => elsewhere.length > 0 && dims.length > 0)
  graph.initializer = graph.initializer.filter((tensor) => !long.includes(tensor))
  return long.map(({ name, dataType, dims }) =>
    declared(
      name,
      dataType,
      dims.map((dimValue) => newMessage('DimensionProto', { dimValue })),
    ),
  )
}

function declared(name: string, elemType: number, dim?: Message<'DimensionProto'>[]): Message<'ValueInfoProto'> {
  const shape = dim && { shape: newMessage('TensorShapeProto', { dim }) }
  const tensorType = newMessage('TensorTypeProto', { elemType, ...shape })
  return newMessage('ValueInfoProto', { name, type: newMessage('TypeProto', { tensorType }) })
}

/**
 * ONNX Runtime saves a graph that it did not change as it was, without the dims that it inferred. A call of a function
 * is always changed: it is inlined.
 */
function addTouch(proto: EditableModel['proto']): void {
  const domain = 'unplugin-onnx'
  const node = [newNode('Identity', ['x'], ['y'])]
  const opsetImport = proto.opsetImport.filter((entry) => entry.domain === '')
  proto.functions.push(
    newMessage('FunctionProto', { name: 'touch', domain, input: ['x'], output: ['y'], node, opsetImport }),
  )
  proto.opsetImport.push(newMessage('OperatorSetIdProto', { domain, version: int64(1) }))
  proto.irVersion = int64(Math.max(8, safeInteger(proto.irVersion) ?? 0))
  const { graph } = proto
  const [x, y] = [`${domain} x`, `${domain} y`]
  graph.initializer.push(newMessage('TensorProto', { name: x, dataType: dtypes.float32.code, floatData: [1] }))
  graph.node.push(newNode('touch', [x], [y], { domain }))
  graph.output.push(declared(y, dtypes.float32.code))
}

/** A name that two graphs use for different values has no dims. */
function readDims(model: EditableModel): KnownDims {
  const found = new Map<string, readonly (number | undefined)[]>()
  const seen = new Set<string>()
  for (const scope of scopesOf(model)) {
    for (const [name, dims] of dimsInScope(scope)) {
      if (seen.has(name)) found.delete(name)
      else if (dims) found.set(name, dims)
      seen.add(name)
    }
  }
  return found
}

function dimsInScope(scope: Scope): [string, (number | undefined)[] | undefined][] {
  const { graph, parent } = scope
  const inputs = parent ? [] : graph.input
  if (isRepeated(scope)) return graph.valueInfo.map(({ name }) => [name, undefined])
  return [...inputs, ...graph.valueInfo, ...graph.output].map(({ name, type }) => [name, staticDims(type)])
}

/** Dims inside a Loop or Scan may differ from one round to the next. Branches of If have no inputs. */
function isRepeated({ owner, parent }: Scope): boolean {
  if (!owner || !parent) return false
  return bodies(owner).some(({ input }) => input.length > 0) || isRepeated(parent)
}

function staticDims(type: Message<'TypeProto'> | null): (number | undefined)[] | undefined {
  return type?.tensorType?.shape?.dim.map((dim) =>
    Object.hasOwn(dim, 'dimValue') ? safeInteger(dim.dimValue) : undefined,
  )
}

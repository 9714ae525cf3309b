import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { dtypeOfCode, dtypes, type StoredDType } from '../../runtime/dtype.ts'
import { bytesContent } from '../onnx/bytes.ts'
import { setContent } from '../onnx/content.ts'
import { declareValue } from '../onnx/edit.ts'
import { type EditableModel, indexScope, type Scope } from '../onnx/graph.ts'
import { type Node, newMessage } from '../onnx/proto.ts'
import type { TensorType } from '../onnx/tensor.ts'
import type { ValueTypes } from '../onnx/types.ts'
import { writeGraph } from '../onnx/write.ts'
import { constantsOf } from './constants.ts'
import { type Inference, quick } from './infer-dims.ts'

/** A computed tensor. */
export interface Computed {
  readonly type: TensorType
  readonly bytes: Uint8Array<ArrayBuffer>
}

/** The nodes that ONNX Runtime could compute, and what others read of them. */
export interface Evaluation {
  readonly done: ReadonlySet<Node>
  readonly values: ReadonlyMap<string, Computed>
}

interface Job extends Inference {
  readonly model: EditableModel
  readonly scope: Scope
  readonly types: ValueTypes
}

/**
 * Computes nodes that depend on constants and on each other alone, in the order of the graph. If ONNX Runtime cannot
 * compute all, the halves are tried, so that one operator without a kernel keeps no other from being computed.
 */
export async function evaluate(job: Job, nodes: readonly Node[]): Promise<Evaluation> {
  const done = new Set<Node>()
  const values = new Map<string, Computed>()
  const attempt = async (part: readonly Node[]): Promise<void> => {
    const runnable = withInputs(job, part, values)
    if (runnable.length === 0) return
    const results = await run(job, runnable, values).catch(() => undefined)
    if (results) {
      for (const node of runnable) done.add(node)
      for (const [name, value] of results) values.set(name, value)
    } else if (runnable.length > 1) {
      const middle = Math.ceil(runnable.length / 2)
      await attempt(runnable.slice(0, middle))
      await attempt(runnable.slice(middle))
    }
  }
  await attempt(nodes)
  return { done, values: stillRead(job, done, values) }
}

/** Nodes whose inputs are constants, computed already, or made by nodes before them. */
function withInputs({ scope }: Job, nodes: readonly Node[], values: ReadonlyMap<string, Computed>): Node[] {
  const find = constantsOf(scope)
  const made = new Set<string>()
  return nodes.filter((node) => {
    const isReady = node.input.every((name) => name === '' || made.has(name) || values.has(name) || find(name))
    if (isReady) for (const name of node.output) made.add(name)
    return isReady
  })
}

async function run(
  { ort, folder, model, scope, types }: Job,
  nodes: readonly Node[],
  values: ReadonlyMap<string, Computed>,
): Promise<Map<string, Computed>> {
  const find = constantsOf(scope)
  const made = new Set(nodes.flatMap(({ output }) => output))
  const wanted = readOutside(scope, new Set(nodes))
  const contents = [...model.contents]
  const partial: EditableModel = { ...model, contents, external: false }
  const inputs = new Set(nodes.flatMap(({ input }) => input).filter((name) => name !== '' && !made.has(name)))
  const initializer = [...inputs].map((name) => {
    const value = values.get(name)
    const tensor = value ? newMessage('TensorProto', { name }) : { ...find(name)!, name }
    if (value) setContent(partial, tensor, value.type, bytesContent(value.bytes))
    return tensor
  })
  const output = [...wanted].map((name) => declareValue(name, types.of(scope, name) as StoredDType))
  const graph = newMessage('GraphProto', { name: 'constants', node: [...nodes], initializer, output })
  const { irVersion, opsetImport } = model.proto
  const proto = Object.assign(newMessage('ModelProto', { irVersion, opsetImport }), { graph })
  const file = join(folder, 'constants.onnx')
  try {
    await writeGraph({ ...partial, proto }, file)
    const session = await ort.InferenceSession.create(file, quick)
    const results = await session.run({})
    await session.release()
    return new Map(Object.entries(results).map(([name, result]) => [name, computed(result)]))
  } finally {
    await rm(file, { force: true })
  }
}

function computed({ type, dims, data }: { type: string; dims: readonly number[]; data: unknown }): Computed {
  const view = data as Uint8Array
  // A copy: the array is ONNX Runtime's own.
  const bytes = Uint8Array.from(new Uint8Array(view.buffer, view.byteOffset, view.byteLength))
  const { code } = dtypes[type as StoredDType]
  return { type: { dtype: dtypeOfCode(code)!, dims: [...dims] }, bytes }
}

/** Values of these nodes that other nodes of the graph read; its outputs are made by nodes that are never computed. */
function readOutside(scope: Scope, nodes: ReadonlySet<Node>): Set<string> {
  const { consumers } = indexScope(scope)
  const names = [...nodes].flatMap(({ output }) => output)
  return new Set(names.filter((name) => consumers.get(name)?.some((reader) => !nodes.has(reader))))
}

function stillRead(
  { scope }: Job,
  done: ReadonlySet<Node>,
  values: ReadonlyMap<string, Computed>,
): Map<string, Computed> {
  const names = readOutside(scope, done)
  return new Map([...values].filter(([name]) => names.has(name)))
}

import type { Content } from '../../onnx/bytes.ts'
import { type Elements, newTensor, setContent, tensorContent, tensorElements } from '../../onnx/content.ts'
import { type Scope, type EditableModel, indexScope } from '../../onnx/graph.ts'
import type { Message } from '../../onnx/proto.ts'
import { type TensorType, tensorType } from '../../onnx/tensor.ts'

type Tensor = Message<'TensorProto'>

/** One graph that is being changed. */
export interface GraphEditor {
  readonly model: EditableModel
  readonly scope: Scope
  /** Makes a name that nothing in the model has. */
  readonly newName: (base: string) => string
}

/** Adds an initializer with these elements and returns its name. */
export function addConstant(
  { scope, newName }: Pick<GraphEditor, 'scope' | 'newName'>,
  base: string,
  type: TensorType,
  data: Elements,
): string {
  const name = newName(base)
  scope.graph.initializer.push(newTensor(name, type, data))
  return name
}

/** Adds an initializer whose bytes are made when the model is written, and returns its name. */
export function addContent(
  { model, scope, newName }: GraphEditor,
  base: string,
  type: TensorType,
  content: Content,
): string {
  const name = newName(base)
  const tensor = newTensor(name, type, new Uint8Array(0))
  setContent(model, tensor, type, content)
  scope.graph.initializer.push(tensor)
  return name
}

/** The dims and content of a float32 constant; undefined when it is not one. */
export function floatWeight(
  model: EditableModel,
  tensor: Tensor | undefined,
): { dims: readonly number[]; content: Content } | undefined {
  const type = tensor && tensorType(tensor)
  const content = tensor && tensorContent(model, tensor)
  return type?.dtype === 'float32' && content && content.length > 0 ? { dims: type.dims, content } : undefined
}

/** The dims and numbers of a small float32 constant; undefined when it is not one. */
export async function floatNumbers(
  model: EditableModel,
  tensor: Tensor | undefined,
): Promise<{ dims: readonly number[]; data: Float32Array } | undefined> {
  const weight = floatWeight(model, tensor)
  const data = weight && tensor && (await tensorElements(model, tensor))
  return weight && data instanceof Float32Array ? { dims: weight.dims, data } : undefined
}

/** Removes initializers and Constant nodes that are no longer read. `before` are the constants before the change. */
export function removeUnread(scope: Scope, before: ReadonlyMap<string, Tensor>): void {
  const { graph } = scope
  const { consumers } = indexScope(scope)
  const outputs = new Set(graph.output.map(({ name }) => name))
  const unread = (name: string | undefined) =>
    name !== undefined && before.has(name) && !consumers.has(name) && !outputs.has(name)
  graph.initializer = graph.initializer.filter(({ name }) => !unread(name))
  graph.node = graph.node.filter(({ opType, output }) => opType !== 'Constant' || !unread(output[0]))
}

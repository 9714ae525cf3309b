import { dtypes } from '../../runtime/dtype.ts'
import { intAttribute, newAttribute } from './attribute.ts'
import { nameMaker, newNode, redeclare, renameReads, sortNodes } from './edit.ts'
import { type EditableModel, indexScope, type Scope } from './graph.ts'
import type { Node } from './proto.ts'
import { isMainDomain } from './proto.ts'
import { inferTypes } from './types.ts'
import { upgradeOpset } from './upgrade.ts'

type Float = 'float32' | 'float16' | 'bfloat16'

interface Change {
  readonly from: Float
  readonly to: Float
}

/**
 * Changes the dtype of inputs and outputs, in place. The nodes that read and make them stay as they are, behind a Cast.
 * A Cast that the new dtype makes needless is removed. A model whose opset has no Cast of bfloat16 is converted to
 * opset 13.
 *
 * @param names inputs and outputs of the dtype `from`
 * @throws OnnxEngineError PRECISION_UNSUPPORTED when the opset cannot be raised
 */
export function castBindings(model: EditableModel, names: ReadonlySet<string>, change: Change): void {
  if (change.from === 'bfloat16' || change.to === 'bfloat16') upgradeOpset(model, 13)
  const { graph } = model.proto
  const editor = { model, scope: { graph }, newName: nameMaker(model), change }
  const inputs = graph.input.map(({ name }) => name).filter((name) => names.has(name))
  // An input that is also an output needs no Cast.
  const outputs = graph.output.map(({ name }) => name).filter((name) => names.has(name) && !inputs.includes(name))
  castInputs(inputs, editor)
  // Before the types that follow from them are inferred.
  redeclare(editor.scope, new Map(inputs.map((name) => [name, change.to])))
  castOutputs(outputs, editor)
  redeclare(editor.scope, new Map(outputs.map((name) => [name, change.to])))
  sortNodes(editor.scope, model.file)
}

interface Editor {
  readonly model: EditableModel
  readonly scope: Scope
  readonly newName: (base: string) => string
  readonly change: Change
}

function castInputs(inputs: readonly string[], { scope, newName, change: { from, to } }: Editor): void {
  const { graph } = scope
  const outputs = new Set(graph.output.map(({ name }) => name))
  const { consumers } = indexScope(scope)
  const renamed = new Map<string, string>()
  const needless = new Set<Node>()
  const casts: Node[] = []
  for (const input of inputs) {
    const readers = consumers.get(input) ?? []
    // A value of more bits is no longer the same after it was rounded.
    const back = readers.filter(
      (reader) => from === 'float32' && castsTo(reader, to) && !outputs.has(reader.output[0] ?? ''),
    )
    for (const cast of back) {
      renamed.set(cast.output[0] ?? '', input)
      needless.add(cast)
    }
    if (back.length === readers.length) continue
    const inner = newName(`${input}_${from}`)
    renamed.set(input, inner)
    casts.push(newCast(input, inner, from, newName))
  }
  graph.node = graph.node.filter((node) => !needless.has(node))
  graph.valueInfo = graph.valueInfo.filter(({ name }) => !renamed.has(name))
  renameReads(scope, renamed)
  graph.node.push(...casts)
}

function castOutputs(outputs: readonly string[], { model, scope, newName, change: { from, to } }: Editor): void {
  const { graph } = scope
  const fixed = new Set([...graph.input, ...graph.output].map(({ name }) => name))
  const types = inferTypes(model)
  const { producers, consumers } = indexScope(scope)
  const made = new Map<string, string>()
  const renamed = new Map<string, string>()
  const needless = new Set<Node>()
  const casts: Node[] = []
  for (const output of outputs) {
    const maker = producers.get(output)
    const source = maker && from === 'float32' && castsTo(maker, from) ? (maker.input[0] ?? '') : ''
    const inner = newName(`${output}_${from}`)
    if (maker && producers.has(source) && !fixed.has(source) && !made.has(source) && types.of(scope, source) === to) {
      made.set(source, output)
      renamed.set(source, output)
      needless.add(maker)
      if (!consumers.has(output)) continue
      casts.push(newCast(output, inner, from, newName))
    } else {
      made.set(output, inner)
      casts.push(newCast(inner, output, to, newName))
    }
    renamed.set(output, inner)
  }
  graph.node = graph.node.filter((node) => !needless.has(node))
  graph.valueInfo = graph.valueInfo.filter(({ name }) => !made.has(name))
  for (const node of graph.node) node.output = node.output.map((name) => made.get(name) ?? name)
  for (const tensor of graph.initializer) tensor.name = made.get(tensor.name) ?? tensor.name
  renameReads(scope, renamed)
  graph.node.push(...casts)
}

function castsTo(node: Node, dtype: Float): boolean {
  return node.opType === 'Cast' && isMainDomain(node.domain) && intAttribute(node, 'to') === dtypes[dtype].code
}

function newCast(from: string, to: string, dtype: Float, newName: (base: string) => string): Node {
  return newNode('Cast', [from], [to], {
    name: newName(`${from}_to_${dtype}`),
    attribute: [newAttribute('to', { int: dtypes[dtype].code })],
  })
}

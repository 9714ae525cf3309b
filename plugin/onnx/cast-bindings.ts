import { dtypes } from '../../runtime/dtype.ts'
import { intAttribute, newAttribute } from './attribute.ts'
import { nameMaker, newNode, redeclare, renameReads, sortNodes } from './edit.ts'
import { type Node, type EditableModel, indexScope, type Scope } from './graph.ts'
import { isMainDomain } from './proto.ts'
import { inferTypes } from './types.ts'
import { upgradeOpset } from './upgrade.ts'

type Float = 'float32' | 'float16' | 'bfloat16'

interface Change {
  readonly from: Float
  readonly to: Float
}

/**
 * Gives inputs and outputs another dtype, in place. What reads and makes them is left as it is, behind a Cast; one that
 * is there already and that the new dtype makes needless goes. A model whose opset has no Cast of bfloat16 is brought
 * to opset 13.
 *
 * @param names inputs and outputs of the dtype `from`
 * @throws OnnxEngineError PRECISION_UNSUPPORTED when the opset cannot be raised
 */
export function castBindings(model: EditableModel, names: ReadonlySet<string>, change: Change): void {
  if (change.from === 'bfloat16' || change.to === 'bfloat16') upgradeOpset(model, 13)
  const { graph } = model.proto
  const scope = { graph }
  const newName = nameMaker(model)
  const inputs = graph.input.map(({ name }) => name).filter((name) => names.has(name))
  // What is an input and an output at once needs nothing between.
  const outputs = graph.output.map(({ name }) => name).filter((name) => names.has(name) && !inputs.includes(name))
  castInputs(scope, inputs, change, newName)
  // Before the types are looked at that follow from them.
  redeclare(scope, new Map(inputs.map((name) => [name, change.to])))
  castOutputs(model, scope, outputs, change, newName)
  redeclare(scope, new Map(outputs.map((name) => [name, change.to])))
  sortNodes(scope, model.file)
}

function castInputs(
  scope: Scope,
  inputs: readonly string[],
  { from, to }: Change,
  newName: (base: string) => string,
): void {
  const { graph } = scope
  const outputs = new Set(graph.output.map(({ name }) => name))
  const { consumers } = indexScope(scope)
  const [renamed, needless, casts] = [new Map<string, string>(), new Set<Node>(), [] as Node[]]
  for (const input of inputs) {
    const readers = consumers.get(input) ?? []
    // A value of more bits is not the same again after it was rounded.
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

function castOutputs(
  model: EditableModel,
  scope: Scope,
  outputs: readonly string[],
  { from, to }: Change,
  newName: (base: string) => string,
): void {
  const { graph } = scope
  const fixed = new Set([...graph.input, ...graph.output].map(({ name }) => name))
  const types = inferTypes(model)
  const { producers, consumers } = indexScope(scope)
  const [made, renamed, needless, casts] = [
    new Map<string, string>(),
    new Map<string, string>(),
    new Set<Node>(),
    [] as Node[],
  ]
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

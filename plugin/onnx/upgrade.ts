import { OnnxEngineError } from '../../runtime/errors.ts'
import { quote } from '../text.ts'
import { newTensor, smallElements } from './content.ts'
import { nameMaker } from './edit.ts'
import { type EditableModel, scopesOf, type Scope, indexScope, bodies } from './graph.ts'
import type { Node } from './proto.ts'
import { type Message, int64, safeInteger, isMainDomain, newMessage } from './proto.ts'
import { inferRanks } from './ranks.ts'
import { mainOpset, inferTypes } from './types.ts'
import { newestOpset, type Upgrade, upgrades, type UpgradeKit } from './upgrade-rules.ts'

// Since this IR version an initializer need not be listed as an input, and functions may be in a model.
const leastIrVersion = 8

/**
 * Converts a model to at least this opset of the main domain; a newer model stays as it is. Every node whose meaning
 * would change is rewritten, in bodies too, and initializers are no longer listed as inputs. Throws
 * PRECISION_UNSUPPORTED with the node that cannot be rewritten; the model must not be used then. A model from before
 * opset 7, when broadcasting had other rules, is always rejected.
 *
 * @param target opset 13 to `newestOpset`
 */
export function upgradeOpset(model: EditableModel, target: number): void {
  const { proto } = model
  const source = mainOpset(proto.opsetImport)
  if (source >= target) return
  if (source < 7 || target > newestOpset) {
    throw new OnnxEngineError('PRECISION_UNSUPPORTED', model.file, {
      expected: `a model of opset 7 to ${newestOpset}`,
      received: `opset ${source}, to be converted to ${target}`,
      hint: 'Export the model again with a newer opset',
    })
  }
  hideInitializers(model)
  for (const body of proto.functions) upgradeFunction(model, body, target)
  const makeName = nameMaker(model)
  // Rewriting keeps the names and the meaning of values, so their types and ranks hold for all steps.
  const types = inferTypes(model)
  const scopes = scopesOf(model).map((scope) => ({ scope, ranks: inferRanks(scope) }))
  for (let opset = source + 1; opset <= target; opset++) {
    for (const { scope, ranks } of scopes) {
      const kit = {
        ...scopeKit(scope, makeName),
        type: (name: string) => types.of(scope, name),
        rank: (name: string) => ranks.get(name),
      }
      scope.graph.node = scope.graph.node.flatMap(
        (node) => upgradeOf(node, opset)?.(node, { ...kit, refuse: refuser(model, node, opset) }) ?? [node],
      )
    }
  }
  setOpset(proto.opsetImport, target)
  proto.irVersion = int64(Math.max(safeInteger(proto.irVersion) ?? 0, leastIrVersion))
}

/**
 * Removes initializers from the list of inputs, which models before IR version 4 had to list them in. For us they are
 * constants in any case, see `readBindings`. Afterwards the dtype of an initializer is declared in one place only.
 */
export function hideInitializers({ proto }: EditableModel): void {
  const { graph } = proto
  const constants = new Set([
    ...graph.initializer.map(({ name }) => name),
    ...graph.sparseInitializer.map(({ values }) => values?.name),
  ])
  const inputs = graph.input.filter(({ name }) => !constants.has(name))
  if (inputs.length === graph.input.length) return
  graph.input = inputs
  proto.irVersion = int64(Math.max(safeInteger(proto.irVersion) ?? 0, 4))
}

/** Whether a node would be rewritten on the way from an opset to a newer one, because its meaning changed. */
export function isRewrittenBetween(node: Node, from: number, to: number): boolean {
  if (to > newestOpset) return true
  return Array.from({ length: to - from }, (_, step) => from + 1 + step).some((opset) => upgradeOf(node, opset))
}

function upgradeOf({ domain, opType }: Node, opset: number): Upgrade | undefined {
  return isMainDomain(domain) && Object.hasOwn(upgrades, opType) ? upgrades[opType]?.[opset] : undefined
}

function scopeKit(
  scope: Scope,
  makeName: (base: string) => string,
): Pick<UpgradeKit, 'makeName' | 'addConstant' | 'floats' | 'isRead'> {
  return {
    makeName,
    addConstant(base, type, data) {
      const name = makeName(base)
      scope.graph.initializer.push(newTensor(name, type, data))
      return name
    },
    floats(name) {
      const tensor = indexScope(scope).constants.get(name)
      const elements = tensor && smallElements(tensor)
      return elements instanceof Float32Array ? [...elements] : undefined
    },
    isRead: (name) =>
      indexScope(scope).consumers.has(name) || scope.graph.output.some((output) => output.name === name),
  }
}

// The nodes of a function have no graph to put constants into, so a function is rejected when one of its nodes changes.
function upgradeFunction(model: EditableModel, { node, opsetImport }: Message<'FunctionProto'>, target: number): void {
  const source = mainOpset(opsetImport)
  for (let opset = source + 1; opset <= target; opset++) {
    for (const inner of nested(node)) if (upgradeOf(inner, opset)) refuser(model, inner, opset)('a local function')
  }
  if (source < target) setOpset(opsetImport, target)
}

function* nested(nodes: readonly Node[]): Generator<Node> {
  for (const node of nodes) {
    yield node
    for (const graph of bodies(node)) yield* nested(graph.node)
  }
}

function setOpset(imports: Message<'OperatorSetIdProto'>[], version: number): void {
  const kept = imports.filter(({ domain }) => !isMainDomain(domain))
  imports.splice(0, imports.length, newMessage('OperatorSetIdProto', { domain: '', version: int64(version) }), ...kept)
}

function refuser(model: EditableModel, { name, opType, output }: Node, opset: number): (reason: string) => never {
  return (received) => {
    throw new OnnxEngineError(
      'PRECISION_UNSUPPORTED',
      `${model.file}, node ${quote(name || (output[0] ?? ''))} (${opType})`,
      {
        expected: `a node that opset ${opset} can express`,
        received,
        hint: 'Export the model again with a newer opset',
      },
    )
  }
}

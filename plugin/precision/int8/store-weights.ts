import { elementCount } from '../../../runtime/dtype.ts'
import { nameMaker, sortNodes } from '../../onnx/edit.ts'
import { type EditableModel, indexScope, mainScope, nodeName } from '../../onnx/graph.ts'
import { upgradeOpset } from '../../onnx/upgrade.ts'
import { alreadyLowered } from '../already-lowered.ts'
import type { Lowered } from '../pass.ts'
import { leastOpset } from './backend-rules.ts'
import { removeUnread } from './constants.ts'
import { storeOnce } from './insert.ts'
import { constantWeights } from './place.ts'

// Below this, the scales and the node take as many bytes as they save.
const smallest = 1024

/** Stores the constant weights of these operators in int8. */
export async function quantizeWeights(model: EditableModel, operators: readonly string[]): Promise<Lowered> {
  const reason = alreadyLowered(model)
  if (reason) return { unit: 'weights', total: 0, lowered: 0, kept: [], notes: [reason] }
  upgradeOpset(model, leastOpset)
  const stored = await storeInt8Weights(model, operators)
  const notes =
    stored.length === 0 ? ['has no large constant weights of products or convolutions to store in int8'] : []
  return { unit: 'weights', total: stored.length, lowered: stored.length, kept: [], notes }
}

/** Stores the constant weights of these operators in int8, but for those that stay; returns their names. */
export async function storeInt8Weights(
  model: EditableModel,
  operators: readonly string[],
  staying: ReadonlySet<string> = new Set(),
): Promise<readonly string[]> {
  const scope = mainScope(model)
  const editor = { model, scope, newName: nameMaker(model) }
  const index = indexScope(scope)
  const store = storeOnce(editor, 127)
  const names = new Set<string>()
  for (const node of scope.graph.node.slice()) {
    const weights = node.domain === '' && operators.includes(node.opType) ? constantWeights(node, index) : undefined
    if (!weights || 4 * elementCount(weights.dims) < smallest) continue
    if (staying.has(weights.weight) || staying.has(nodeName(node))) continue
    names.add(weights.weight)
    node.input[1] = await store(weights)
  }
  removeUnread(scope, index.constants)
  sortNodes(scope, model.file)
  return [...names]
}

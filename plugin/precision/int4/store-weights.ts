import type { BackendName } from '../../../runtime/manifest.ts'
import { nameMaker } from '../../onnx/edit.ts'
import { type EditableModel, indexScope, nodeName, type ScopeIndex, scopesOf } from '../../onnx/graph.ts'
import type { Node } from '../../onnx/proto.ts'
import { upgradeOpset } from '../../onnx/upgrade.ts'
import { count } from '../../text.ts'
import { alreadyLowered } from '../already-lowered.ts'
import { type GraphEditor, removeUnread } from '../int8/constants.ts'
import { dequantizeWeight, storeWeight } from '../int8/insert.ts'
import { weightOperators } from '../int8/pass.ts'
import { storeInt8Weights } from '../int8/store-weights.ts'
import type { Lowered } from '../pass.ts'
import type { Int4Form } from './pass.ts'
import { block, blocksOf, type Candidate, findCandidates, hasBlocks } from './products.ts'
import { type Form, type Rewrite, storeBlocks } from './store.ts'

// DequantizeLinear by blocks exists since opset 21, with a scale for each channel since 13.
const opsets = { operators: 13, blocks: 21, 'symmetric blocks': 21 } as const

/** What decides how weights are stored. */
interface Storing extends Int4Form {
  readonly backend: BackendName
  /** Names of weights or nodes that stay in fp32. */
  readonly pinned: readonly string[]
}

/** Stores the large constant matrices of the main graph in 4 bits, and other weights in int8. */
export async function storeWeights(model: EditableModel, { form, tables, backend, pinned }: Storing): Promise<Lowered> {
  const reason = alreadyLowered(model)
  if (reason) return { unit: 'weights', total: 0, lowered: 0, kept: [], notes: [reason] }
  upgradeOpset(model, opsets[form])
  const scope = scopesOf(model)[0]!
  const index = indexScope(scope)
  const editor = { model, scope, newName: nameMaker(model) }
  const staying = new Set(pinned)
  const kept = new Map<string, string>()
  const changed = new Set<string>()
  const odd = new Set<string>()
  const stored = new Map<string, Rewrite | undefined>()
  const rewritten = new Map<Node, readonly Node[]>()
  for (const candidate of findCandidates(scope.graph.node, index)) {
    const { node, weight, layout } = candidate
    const isTable = node.opType === 'Gather'
    if (staying.has(weight) || staying.has(nodeName(node))) {
      kept.set(weight, kept.get(weight) ?? 'pinned to fp32')
      continue
    }
    const isNarrow = isTable && tables === 'int8'
    if (!isNarrow && !hasBlocks(candidate)) {
      odd.add(weight)
      continue
    }
    // Two products may read one matrix in two directions.
    const key = `${weight} ${isNarrow} ${layout.strides.row}`
    if (!stored.has(key))
      stored.set(
        key,
        isNarrow ? await storeTable(editor, candidate) : await storeMatrix(editor, index, candidate, form),
      )
    const nodes = stored.get(key)?.(node)
    if (nodes) {
      rewritten.set(node, nodes)
      changed.add(weight)
    } else {
      staying.add(weight)
      kept.set(weight, 'not all of its numbers are finite')
    }
  }
  scope.graph.node = scope.graph.node.flatMap((node) => rewritten.get(node) ?? [node])
  removeUnread(scope, index.constants)
  const notes = [
    ...(changed.size + odd.size === 0 ? ['has no large constant matrices to store in 4 bits'] : []),
    ...(odd.size > 0
      ? [`has ${count(odd.size, 'large weight')} without whole blocks of ${block} numbers, which do not become 4 bits`]
      : []),
  ]
  for (const name of await storeInt8Weights(model, weightOperators[backend], staying)) changed.add(name)
  return {
    unit: 'weights',
    total: changed.size + kept.size,
    lowered: changed.size,
    changed: [...changed],
    kept: [...kept].map(([name, why]) => ({ name, operator: 'initializer', reason: why })),
    notes,
  }
}

async function storeMatrix(
  editor: GraphEditor,
  index: ScopeIndex,
  candidate: Candidate,
  form: Form,
): Promise<Rewrite | undefined> {
  const blocks = await blocksOf(editor, index, candidate, form === 'symmetric blocks')
  return blocks && storeBlocks(editor, candidate, blocks, form)
}

/** Int8 with a scale for each row. */
async function storeTable(editor: GraphEditor, { weight, layout }: Candidate): Promise<Rewrite> {
  const { rows, columns } = layout
  const table = await storeWeight(editor, { weight, dims: [rows, columns], axis: 0 }, 127)
  const unfolded = dequantizeWeight(editor, weight, table)
  return (node) => [{ ...node, input: [unfolded, ...node.input.slice(1)] }]
}

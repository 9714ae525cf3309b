import { dtypes } from '../../../runtime/dtype.ts'
import { newAttribute } from '../../onnx/attribute.ts'
import { tensorContent, setContent } from '../../onnx/content.ts'
import { nameMaker, newNode, sortNodes } from '../../onnx/edit.ts'
import { type EditableModel, scopesOf, type Scope } from '../../onnx/graph.ts'
import type { Message } from '../../onnx/proto.ts'
import { tensorType } from '../../onnx/tensor.ts'
import { inferTypes } from '../../onnx/types.ts'
import { hideInitializers } from '../../onnx/upgrade.ts'
import { alreadyLowered } from '../already-lowered.ts'
import type { Lowered } from '../pass.ts'
import { smallest, misfit, contentRange, halfContent } from './content.ts'
import { preciseNodes } from './precise-values.ts'
import type { HalfDType } from './rounding.ts'

/** Stores the weights of a graph in 16 bits, in place. `pinned` are the names of weights that stay in fp32. */
export async function storeGraph(
  model: EditableModel,
  dtype: HalfDType,
  pinned: ReadonlySet<string>,
): Promise<Lowered> {
  const reason = alreadyLowered(model)
  if (reason) return { unit: 'weights', total: 0, lowered: 0, changed: [], kept: [], notes: [reason] }
  hideInitializers(model)
  const newName = nameMaker(model)
  const types = inferTypes(model)
  const weights: WeightOutcome[] = []
  for (const scope of scopesOf(model)) {
    const precise = new Map<string, string>()
    for (const [node, reason] of await preciseNodes(model, scope, types, dtype)) {
      for (const name of node.input) precise.set(name, reason)
    }
    weights.push(...(await storeWeights(model, scope, dtype, { pinned, precise, newName })))
  }
  const kept = weights.flatMap(({ name, reason }) =>
    reason === undefined ? [] : [{ name, operator: 'initializer', reason }],
  )
  const changed = weights.flatMap(({ name, reason }) => (reason === undefined ? [name] : []))
  return { unit: 'weights', total: weights.length, lowered: changed.length, changed, kept, notes: [] }
}

interface WeightOutcome {
  readonly name: string
  /** Why it stays in fp32. */
  readonly reason: string | undefined
}

interface StoreTools {
  readonly pinned: ReadonlySet<string>
  /** Values that nodes read which need every digit, and why they do. */
  readonly precise: ReadonlyMap<string, string>
  readonly newName: (base: string) => string
}

async function storeWeights(
  model: EditableModel,
  scope: Scope,
  dtype: HalfDType,
  { pinned, precise, newName }: StoreTools,
): Promise<WeightOutcome[]> {
  const outcomes: WeightOutcome[] = []
  for (const { tensor, name, rename } of storedTensors(scope)) {
    const type = tensorType(tensor)
    const content = tensorContent(model, tensor)
    if (type?.dtype !== 'float32' || !content || content.length < smallest) continue
    const fixed = pinned.has(name) ? 'pinned to fp32' : precise.get(name)
    const reason = fixed ?? misfit(await contentRange(content), dtype)
    outcomes.push({ name, reason })
    if (reason !== undefined) continue
    const stored = newName(`${name}_${dtype}`)
    setContent(model, tensor, { dtype, dims: type.dims }, halfContent(content, dtype))
    rename(stored)
    scope.graph.node.push(
      newNode('Cast', [stored], [name], {
        name: stored,
        attribute: [newAttribute('to', { int: dtypes.float32.code })],
      }),
    )
  }
  if (outcomes.some(({ reason }) => reason === undefined)) sortNodes(scope, model.file)
  return outcomes
}

interface Weight {
  readonly name: string
  readonly tensor: Message<'TensorProto'>
  readonly rename: (name: string) => void
}

// Initializers and tensors of Constant nodes.
function storedTensors({ graph }: Scope): Weight[] {
  const initializers = graph.initializer.map((tensor): Weight => ({
    name: tensor.name,
    tensor,
    rename: (name) => {
      tensor.name = name
    },
  }))
  const constants = graph.node
    .filter(({ opType, domain }) => opType === 'Constant' && domain === '')
    .flatMap((node): Weight[] => {
      const tensor = node.attribute.find(({ name }) => name === 'value')?.t
      const [name] = node.output
      return tensor && name ? [{ name, tensor, rename: (to) => (node.output = [to]) }] : []
    })
  return [...initializers, ...constants]
}

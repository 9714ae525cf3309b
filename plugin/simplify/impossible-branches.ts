import { attributeOf } from '../onnx/attribute.ts'
import { nameMaker } from '../onnx/edit.ts'
import type { EditableModel } from '../onnx/graph.ts'
import { isMainDomain } from '../onnx/proto.ts'
import { takeBranch } from './constant-branches.ts'
import { inferDims, type Inference, type KnownDims } from './infer-dims.ts'
import { restore, snapshot } from './snapshot.ts'

/** Most Ifs that are tried: each takes ONNX Runtime two loads. */
const mostTries = 8

/**
 * When a model cannot be loaded any more because fixed dims contradict one branch of an If, as a speech net does that
 * holds a net for each sample rate, the other branch is the only one that can run: it replaces the If. Returns the dims
 * of the model then; undefined if there is no such If.
 */
export async function dropImpossibleBranch(model: EditableModel, inference: Inference): Promise<KnownDims | undefined> {
  const before = snapshot(model)
  const nodes = model.proto.graph.node.flatMap((node, index) =>
    node.opType === 'If' && isMainDomain(node.domain) ? [index] : [],
  )
  for (const index of nodes.slice(0, mostTries)) {
    const possible: ('then_branch' | 'else_branch')[] = []
    for (const branch of ['then_branch', 'else_branch'] as const) {
      take(model, index, branch)
      if (await inferDims(model, inference)) possible.push(branch)
      restore(model, before)
    }
    const [only, other] = possible
    if (only === undefined || other !== undefined) continue
    take(model, index, only)
    return inferDims(model, inference)
  }
  return undefined
}

function take(model: EditableModel, index: number, name: 'then_branch' | 'else_branch'): void {
  const { graph } = model.proto
  const node = graph.node[index]!
  const branch = attributeOf(node, name)?.g
  if (branch) takeBranch({ scope: { graph }, node, branch }, nameMaker(model))
}

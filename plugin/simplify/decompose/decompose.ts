import type { BackendName } from '../../../runtime/manifest.ts'
import { nameMaker } from '../../onnx/edit.ts'
import { type EditableModel, indexScope, type Scope, scopesOf } from '../../onnx/graph.ts'
import { isMainDomain, type Node } from '../../onnx/proto.ts'
import { inferTypes, mainOpset } from '../../onnx/types.ts'
import { upgradeOpset } from '../../onnx/upgrade.ts'
import { constantsOf } from '../constants.ts'
import type { KnownDims } from '../infer-dims.ts'
import { restore, snapshot } from '../snapshot.ts'
import { type Around, type Kit, kitFor } from './kit.ts'
import { blockOpset } from './matmul-nbits.ts'
import { type Pattern, patterns } from './patterns.ts'

/** Whether a model has an operator that is decomposed for a backend. */
export function needsDecomposing(model: EditableModel, backend: BackendName): boolean {
  const starts = (node: Node) => {
    const pattern = patternOf(node, backend)
    return pattern !== undefined && !pattern.follows
  }
  return scopesOf(model).some(({ graph }) => graph.node.some(starts))
}

/**
 * Replaces operators that a backend refuses or mistakes by standard ones with the same results, as far as dims are
 * known that the others need. Returns whether there was one.
 */
export function decompose(model: EditableModel, backend: BackendName, dims: KnownDims): boolean {
  if (hasBlocks(model, backend)) raiseOpset(model)
  const makeName = nameMaker(model)
  const types = inferTypes(model)
  const opset = mainOpset(model.proto.opsetImport)
  let changed = false
  for (const scope of scopesOf(model)) {
    const { graph } = scope
    const find = constantsOf(scope)
    const isRead = readersOf(scope)
    const around: Around = {
      model,
      opset,
      dims: (name) => find(name)?.dims.map(({ low }) => low) ?? dims.get(name),
      type: (name) => types.of(scope, name),
      find,
      makeName,
      isRead,
      plain: new Map(),
      integers: new Map(),
      symmetric: new Map(),
    }
    graph.node = graph.node.flatMap((node) => {
      const nodes: Node[] = []
      const isDone = patternOf(node, backend)?.decompose(node, kitFor(around, nodes)) ?? false
      changed ||= isDone
      return isDone ? nodes : [node]
    })
  }
  return changed
}

function hasBlocks(model: EditableModel, backend: BackendName): boolean {
  return scopesOf(model).some(({ graph }) =>
    graph.node.some((node) => node.opType === 'MatMulNBits' && patternOf(node, backend) !== undefined),
  )
}

/** A model that cannot be converted keeps its opset, and the nodes that would need another. */
function raiseOpset(model: EditableModel): void {
  const before = snapshot(model)
  try {
    upgradeOpset(model, blockOpset)
  } catch {
    restore(model, before)
  }
}

function patternOf({ domain, opType }: Node, backend: BackendName): Pattern | undefined {
  const own = patterns[isMainDomain(domain) ? '' : domain]
  const pattern = own && Object.hasOwn(own, opType) ? own[opType] : undefined
  return pattern?.backends.includes(backend) ? pattern : undefined
}

function readersOf(scope: Scope): Kit['isRead'] {
  const { consumers } = indexScope(scope)
  const outputs = new Set(scope.graph.output.map(({ name }) => name))
  return (name) => name !== undefined && name !== '' && (consumers.has(name) || outputs.has(name))
}

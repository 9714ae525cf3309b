import { elementCount, type StoredDType } from '../../../runtime/dtype.ts'
import type { BackendName } from '../../../runtime/manifest.ts'
import { tensorElements } from '../../onnx/content.ts'
import { nameMaker } from '../../onnx/edit.ts'
import { type EditableModel, indexScope, type Scope, scopesOf } from '../../onnx/graph.ts'
import { isMainDomain, type Node } from '../../onnx/proto.ts'
import { tensorType } from '../../onnx/tensor.ts'
import { inferTypes, mainOpset } from '../../onnx/types.ts'
import { upgradeOpset } from '../../onnx/upgrade.ts'
import { constantsOf, type FindConstant } from '../constants.ts'
import type { KnownDims } from '../infer-dims.ts'
import { restore, snapshot } from '../snapshot.ts'
import { type Around, type Kit, kitFor } from './kit.ts'
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
export async function decompose(model: EditableModel, backend: BackendName, dims: KnownDims): Promise<boolean> {
  raiseOpset(model, neededOpset(model, backend))
  const makeName = nameMaker(model)
  const types = inferTypes(model)
  const opset = mainOpset(model.proto.opsetImport)
  let changed = false
  for (const scope of scopesOf(model)) {
    const { graph } = scope
    const find = constantsOf(scope)
    const isRead = readersOf(scope)
    const numbers = await readNumbers(
      model,
      graph.node.filter((node) => patternOf(node, backend)),
      find,
    )
    const made = new Map<string, StoredDType>()
    const rewrite = (node: Node): readonly Node[] => {
      const nodes: Node[] = []
      const isDone = patternOf(node, backend)?.decompose(node, kitFor(around, nodes)) ?? false
      changed ||= isDone
      return isDone ? nodes : [node]
    }
    const around: Around = {
      model,
      opset,
      dims: (name) => find(name)?.dims.map(({ low }) => low) ?? dims.get(name),
      type: (name) => made.get(name) ?? types.of(scope, name),
      find,
      numbers: (name) => numbers.get(name),
      rewrite,
      makeName,
      isRead,
      plain: new Map(),
      integers: new Map(),
      symmetric: new Map(),
      made,
    }
    graph.node = graph.node.flatMap(rewrite)
  }
  return changed
}

/** The newest opset that a pattern of this model needs. */
function neededOpset(model: EditableModel, backend: BackendName): number {
  const nodes = scopesOf(model).flatMap(({ graph }) => graph.node)
  return Math.max(0, ...new Set(nodes.map((node) => patternOf(node, backend)?.opset ?? 0)))
}

/** A model that cannot be converted keeps its opset, and the nodes that would need another. */
function raiseOpset(model: EditableModel, opset: number): void {
  if (mainOpset(model.proto.opsetImport) >= opset) return
  const before = snapshot(model)
  try {
    upgradeOpset(model, opset)
  } catch {
    restore(model, before)
  }
}

// Scales, zero points and biases: a scale for each channel may be longer than what is in memory with the structure.
async function readNumbers(
  model: EditableModel,
  nodes: readonly Node[],
  find: FindConstant,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const found = new Map<string, readonly number[]>()
  for (const name of new Set(nodes.flatMap(({ input }) => input))) {
    const tensor = find(name)
    const type = tensor && tensorType(tensor)
    if (!type || type.dims.length > 2 || elementCount(type.dims) > mostNumbers) continue
    const elements = await tensorElements(model, tensor)
    if (elements) found.set(name, Array.from<number | bigint, number>(elements as ArrayLike<number | bigint>, Number))
  }
  return found
}

const mostNumbers = 2 ** 16

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

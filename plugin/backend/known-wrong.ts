import { OnnxEngineError } from '../../runtime/errors.ts'
import { createGraphFacts, type GraphFacts } from '../onnx/graph-facts.ts'
import type { EditableModel } from '../onnx/graph.ts'
import { nodeName, scopesOf } from '../onnx/graph.ts'
import { isMainDomain, type Node } from '../onnx/proto.ts'

/** A node that a compiler accepts and computes wrong, for some inputs at least, whatever the rest of the model is. */
export interface KnownWrong {
  /** The newest release that was seen to do it. What newer ones do, the comparison of every build finds. */
  readonly release: string
  /** Operators of the main domain. */
  readonly operators: readonly string[]
  /** What the compiler does, for the error: 'OpenVINO ...'. */
  readonly reason: string
  /**
   * Whether a node is one of these. Never for a node that may be right: where only the inputs decide, the comparison
   * does.
   */
  matches(node: Node, facts: GraphFacts): boolean | Promise<boolean>
}

/** The compiler that is about to compile a graph. */
export interface Compiler {
  readonly backend: string
  /** Its version, which begins with a release such as 2026.4.1. */
  readonly version: string
  readonly knownWrong: readonly KnownWrong[]
}

/** Throws MODEL_UNSUPPORTED, with its name, for the first node that the compiler is known to compute wrong. */
export async function refuseKnownWrong(
  name: string,
  model: EditableModel,
  { backend, version, knownWrong }: Compiler,
): Promise<void> {
  const rows = knownWrong.filter(({ release }) => !isNewer(version, release))
  if (rows.length === 0) return
  const factsOf = createGraphFacts(model)
  for (const scope of scopesOf(model)) {
    const facts = factsOf(scope)
    for (const node of scope.graph.node) {
      const row = await rowOf(rows, node, facts)
      if (!row) continue
      const subject = `${name}: node ${nodeName(node)} (${node.opType}) with ${backend}`
      throw new OnnxEngineError('MODEL_UNSUPPORTED', `${subject}: ${row.reason}`, {
        hint: 'Use another backend for this model',
      })
    }
  }
}

async function rowOf(rows: readonly KnownWrong[], node: Node, facts: GraphFacts): Promise<KnownWrong | undefined> {
  if (!isMainDomain(node.domain)) return undefined
  for (const row of rows) if (row.operators.includes(node.opType) && (await row.matches(node, facts))) return row
  return undefined
}

function isNewer(version: string, release: string): boolean {
  const [own, other] = [version, release].map((text) => text.split('-', 1)[0]!.split('.').map(Number))
  const at = own!.findIndex((part, index) => part !== (other![index] ?? 0))
  return at >= 0 && own![at]! > (other![at] ?? 0)
}

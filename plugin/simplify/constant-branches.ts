import { attributeOf } from '../onnx/attribute.ts'
import { smallElements } from '../onnx/content.ts'
import { nameMaker, newNode } from '../onnx/edit.ts'
import { bodiesOf, declarations, type EditableModel, type Scope, scopesOf } from '../onnx/graph.ts'
import { isMainDomain, type Message, type Node } from '../onnx/proto.ts'
import { constantsOf } from './constants.ts'
import { renameAll } from './copy.ts'

/** Puts the branch of each If whose condition is constant in its place. Returns whether there was one. */
export function inlineBranches(model: EditableModel): boolean {
  const makeName = nameMaker(model)
  let changed = false
  // A branch moves with all that is in it, so the graphs are looked up again after each.
  for (let found = decided(model); found; found = decided(model)) {
    takeBranch(found, makeName)
    changed = true
  }
  return changed
}

/** An If, and the branch that runs. */
export interface DecidedIf {
  readonly scope: Scope
  readonly node: Node
  readonly branch: Message<'GraphProto'>
}

function decided(model: EditableModel): DecidedIf | undefined {
  for (const scope of scopesOf(model)) {
    const nodes = scope.graph.node.filter(({ opType, domain }) => opType === 'If' && isMainDomain(domain))
    const find = nodes.length > 0 ? constantsOf(scope) : undefined
    for (const node of nodes) {
      const condition = find?.(node.input[0] ?? '')
      const value = condition && smallElements(condition)?.[0]
      const branch = value === undefined ? undefined : attributeOf(node, value ? 'then_branch' : 'else_branch')?.g
      if (branch) return { scope, node, branch }
    }
  }
  return undefined
}

/** Puts a branch of an If in its place. */
export function takeBranch({ scope, node, branch }: DecidedIf, makeName: (base: string) => string): void {
  const { graph } = scope
  const own = declarations(branch)
  const made = new Set(branch.node.flatMap(({ output }) => output))
  const taken = namesOutside(scope, node)
  const names = new Map<string, string>()
  for (const name of [...own, ...innerDeclarations({ graph: branch, parent: scope })])
    if (name !== '' && taken.has(name)) names.set(name, makeName(name))
  const copies: Node[] = []
  branch.output.forEach(({ name }, index) => {
    const result = node.output[index] ?? ''
    if (result === '') return
    // What one node makes may be several outputs, and an output may be a constant or a value from outside.
    if (made.has(name) && !branch.output.slice(0, index).some((other) => other.name === name)) names.set(name, result)
    else copies.push(newNode('Identity', [name], [result]))
  })
  for (const copy of copies) copy.input = copy.input.map((name) => names.get(name) ?? name)
  renameAll(branch, names)
  graph.initializer.push(...branch.initializer)
  graph.sparseInitializer.push(...branch.sparseInitializer)
  graph.node = graph.node.flatMap((other) => (other === node ? [...branch.node, ...copies] : [other]))
}

/** Every name that is declared at any depth inside a graph. */
function innerDeclarations(scope: Scope): string[] {
  return bodiesOf(scope).flatMap((body) => [...declarations(body.graph), ...innerDeclarations(body)])
}

/** The names that a graph declares itself, and in the bodies of its other nodes, or that it sees from outside. */
function namesOutside(scope: Scope, node: Node): Set<string> {
  const names = declarations(scope.graph)
  for (const body of bodiesOf(scope)) {
    if (body.owner === node) continue
    for (const name of declarations(body.graph)) names.add(name)
    for (const name of innerDeclarations(body)) names.add(name)
  }
  for (let outer = scope.parent; outer; outer = outer.parent)
    for (const name of declarations(outer.graph)) names.add(name)
  return names
}

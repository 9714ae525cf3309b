import type { Expression, ObjectExpression, Program } from 'oxc-parser'
import { loadParser } from '../imports/specifiers.ts'

/** Source text and what it means. */
export interface SourceTree {
  readonly source: string
  readonly program: Program
}

/** Parses source text of JavaScript or TypeScript; undefined when it has errors. */
export async function parseSource(file: string, source: string): Promise<SourceTree | undefined> {
  const { parseSync } = await loadParser()
  const { program, errors } = parseSync(file, source)
  return errors.length > 0 ? undefined : { source, program }
}

/** A property of an object by its name. */
export type Property = Extract<ObjectExpression['properties'][number], { type: 'Property' }>

/** The property of an object with a name, however it is written; undefined without one. */
export function propertyOf({ properties }: ObjectExpression, name: string): Property | undefined {
  return properties.find((property): property is Property => {
    if (property.type !== 'Property') return false
    const { key, computed } = property
    if (key.type === 'Identifier') return !computed && key.name === name
    return key.type === 'Literal' && key.value === name
  })
}

/** An expression without parentheses and types around it. */
export function bare(node: Expression): Expression {
  const isWrapped =
    node.type === 'ParenthesizedExpression' ||
    node.type === 'TSAsExpression' ||
    node.type === 'TSSatisfiesExpression' ||
    node.type === 'TSNonNullExpression'
  return isWrapped ? bare(node.expression) : node
}

/** The value of a literal, an array or an object of literals; undefined for anything else. */
export function literalValue(node: Expression): unknown {
  if (node.type === 'Literal') return node.value
  if (node.type === 'ArrayExpression')
    return node.elements.map((element) =>
      element && element.type !== 'SpreadElement' ? literalValue(element) : undefined,
    )
  return undefined
}

/** The object that a configuration file exports, directly, by a variable, or as the result of a function. */
export function exportedObject({ program }: SourceTree): ObjectExpression | undefined {
  for (const statement of program.body) {
    if (statement.type === 'ExportDefaultDeclaration') {
      const { declaration } = statement
      if (declaration.type === 'FunctionDeclaration') return returnedObject(declaration.body?.body, program)
      return objectIn(declaration as Expression, program)
    }
    if (statement.type !== 'ExpressionStatement' || statement.expression.type !== 'AssignmentExpression') continue
    const { left, right } = statement.expression
    if (left.type === 'MemberExpression' && isModuleExports(left)) return objectIn(right, program)
  }
  return undefined
}

/** The object that the first call of one of these functions receives, as `build({})` and `Bun.build({})` do. */
export async function calledObject(
  { program }: SourceTree,
  names: readonly string[],
): Promise<ObjectExpression | undefined> {
  const { Visitor } = await loadParser()
  let found: ObjectExpression | undefined
  new Visitor({
    CallExpression({ callee, arguments: [argument] }) {
      const name = callee.type === 'MemberExpression' ? callee.property : callee
      if (name.type !== 'Identifier' || !names.includes(name.name)) return
      found ??= argumentObject(argument, program)
    },
  }).visit(program)
  return found
}

interface Member {
  readonly object: Expression
  readonly property: { readonly type: string; readonly name?: unknown }
}

function isModuleExports({ object, property }: Member): boolean {
  return object.type === 'Identifier' && object.name === 'module' && property.name === 'exports'
}

function objectIn(node: Expression, program: Program): ObjectExpression | undefined {
  const inner = bare(node)
  switch (inner.type) {
    case 'ObjectExpression':
      return inner
    case 'ArrayExpression':
      // Several configurations: which of them imports models is not known.
      return inner.elements.length === 1 ? argumentObject(inner.elements[0], program) : undefined
    case 'CallExpression':
      return argumentObject(inner.arguments[0], program)
    case 'Identifier':
      return variableObject(inner.name, program)
    case 'ArrowFunctionExpression':
      return inner.body.type === 'BlockStatement'
        ? returnedObject(inner.body.body, program)
        : objectIn(inner.body as Expression, program)
    case 'FunctionExpression':
      return returnedObject(inner.body?.body, program)
    default:
      return undefined
  }
}

function argumentObject(node: { readonly type: string } | null | undefined, program: Program) {
  return node && node.type !== 'SpreadElement' ? objectIn(node as Expression, program) : undefined
}

function variableObject(name: string, program: Program): ObjectExpression | undefined {
  for (const statement of program.body) {
    if (statement.type !== 'VariableDeclaration') continue
    for (const { id, init } of statement.declarations)
      if (id.type === 'Identifier' && id.name === name && init) return objectIn(init, program)
  }
  return undefined
}

function returnedObject(
  body: readonly { readonly type: string }[] | undefined,
  program: Program,
): ObjectExpression | undefined {
  const statement = body?.findLast(({ type }) => type === 'ReturnStatement') as
    | { readonly argument: Expression | null }
    | undefined
  return statement?.argument ? objectIn(statement.argument, program) : undefined
}

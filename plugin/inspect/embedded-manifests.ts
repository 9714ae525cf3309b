import type { Expression, ObjectExpression } from 'oxc-parser'
import { manifestMistake } from '../../runtime/manifest-schema.ts'
import type { ModelManifest } from '../../runtime/manifest.ts'
import { loadParser } from '../imports/specifiers.ts'

/**
 * The manifests in the code of a bundle, also after a minifier. The code is parsed, never run. Where the place of an
 * engine is an expression, `file` is the first text in it that looks like an engine, or ''.
 */
export async function embeddedManifests(file: string, code: string): Promise<readonly ModelManifest[]> {
  // Most chunks hold no model, and parsing takes time.
  if (!code.includes('sha256') || !code.includes('variants')) return []
  const { parseSync, Visitor } = await loadParser()
  const { program } = parseSync(file, code)
  const manifests: ModelManifest[] = []
  new Visitor({
    ObjectExpression(node) {
      const names = new Set(node.properties.map(keyOf))
      if (!['schema', 'name', 'bindings', 'variants'].every((name) => names.has(name))) return
      const value = valueOf(node)
      if (manifestMistake(value) === undefined) manifests.push(value as ModelManifest)
    },
  }).visit(program)
  return manifests
}

type Property = ObjectExpression['properties'][number]

function keyOf(property: Property): string | undefined {
  if (property.type === 'SpreadElement') return undefined
  const { key, computed } = property
  if (key.type === 'Identifier' && !computed) return key.name
  const value = key.type === 'PrivateIdentifier' ? undefined : valueOf(key)
  return typeof value === 'string' ? value : undefined
}

/** The value of a literal; of any other expression the first text in it that looks like an engine. */
function valueOf(node: Expression): unknown {
  switch (node.type) {
    case 'Literal':
      return node.value
    case 'ArrayExpression':
      return node.elements.map((element) => (element && element.type !== 'SpreadElement' ? valueOf(element) : null))
    case 'ObjectExpression':
      return objectOf(node)
    case 'UnaryExpression':
      return unaryOf(node.operator, valueOf(node.argument))
    case 'TemplateLiteral':
      return node.expressions.length === 0 ? (node.quasis[0]?.value.cooked ?? '') : engineText(node)
    default:
      return engineText(node)
  }
}

function objectOf({ properties }: ObjectExpression): object {
  const entries = properties.flatMap((property) => {
    const key = keyOf(property)
    return key === undefined || property.type === 'SpreadElement' ? [] : [[key, valueOf(property.value)] as const]
  })
  return Object.fromEntries(entries)
}

// Minifiers write false as !1.
function unaryOf(operator: string, value: unknown): unknown {
  if (operator === '!') return !value
  return operator === '-' ? -Number(value) : ''
}

const enginePattern = /\.(?:ort|onnx|blob|engine)$/

function engineText(node: object): string {
  for (const value of Object.values(node)) {
    const found = textIn(value)
    if (found !== '') return found
  }
  return ''
}

function textIn(value: unknown): string {
  if (typeof value === 'string') return enginePattern.test(value) ? value : ''
  if (Array.isArray(value)) return value.map(textIn).find((text) => text !== '') ?? ''
  return typeof value === 'object' && value !== null ? engineText(value) : ''
}

import { MagicString } from 'magic-string'
import type { ArrayExpression, Expression, ObjectExpression, Program } from 'oxc-parser'
import { bare, calledObject, exportedObject, parseSource, propertyOf, type SourceTree } from './source-tree.ts'

/** How a bundler's configuration takes the plugin. */
export interface ConfigEdit {
  /** Entry of this package, such as 'vite'. */
  readonly entry: string
  /**
   * Path of the list of plugins. A first element 'build()' is a call of that function; a last element '()' is a
   * function that changes webpack's configuration.
   */
  readonly path: readonly string[]
}

/** A configuration with the plugin, or why it stays as it is. */
export type EditedConfig = { readonly text: string } | { readonly unchanged: 'has it' } | { readonly reason: string }

/** Adds the plugin to the source of a configuration file. Everything else stays as it is written. */
export async function editConfig(file: string, source: string, { entry, path }: ConfigEdit): Promise<EditedConfig> {
  if (hasPlugin(source)) return { unchanged: 'has it' }
  const tree = await parseSource(file, source)
  if (!tree) return { reason: 'it cannot be parsed' }
  const isScript = path[0] === 'build()'
  const config = isScript ? await calledObject(tree, ['build', 'context']) : exportedObject(tree)
  if (!config)
    return { reason: isScript ? 'it calls no build() with an object' : 'it exports no object that can be found' }
  const name = freeName(tree)
  const text = new MagicString(source)
  const keys = isScript ? path.slice(1) : path
  const reason = path.at(-1) === '()' ? addToFunction(text, config, name) : addToList(text, config, keys, name)
  if (reason !== undefined) return { reason }
  addImport(text, tree, `unplugin-onnx/${entry}`, name)
  return { text: text.toString() }
}

/** Whether source text imports the plugin. */
export function hasPlugin(source: string): boolean {
  return source.includes('unplugin-onnx/')
}

function addToList(
  text: MagicString,
  config: ObjectExpression,
  [name = '', ...rest]: readonly string[],
  plugin: string,
): string | undefined {
  const found = propertyOf(config, name)
  if (!found) {
    const value = [...rest].reverse().reduce((inner, key) => `{ ${key}: ${inner} }`, `[${plugin}()]`)
    addProperty(text, config, `${name}: ${value}`)
    return undefined
  }
  const value = bare(found.value)
  if (rest.length > 0) {
    if (value.type === 'ObjectExpression') return addToList(text, value, rest, plugin)
    return `'${name}' is not an object`
  }
  if (value.type !== 'ArrayExpression') return `'${name}' is not a list`
  addElement(text, value, `${plugin}()`)
  return undefined
}

/** Adds a property at the start of an object, in its own layout. */
function addProperty(text: MagicString, object: ObjectExpression, property: string): void {
  const [first] = object.properties
  if (!first) {
    text.overwrite(object.start, object.end, `{ ${property} }`)
    return
  }
  text.appendLeft(first.start, `${property},${spaceBefore(text.original, first.start)}`)
}

function addElement(text: MagicString, list: ArrayExpression, element: string): void {
  const first = list.elements.find((each) => each !== null)
  if (first) text.appendLeft(first.start, `${element},${spaceBefore(text.original, first.start)}`)
  else text.overwrite(list.start, list.end, `[${element}]`)
}

/** The line break and indentation before an element that is on a line of its own; otherwise a space. */
function spaceBefore(source: string, at: number): string {
  const lineStart = source.lastIndexOf('\n', at - 1) + 1
  const before = source.slice(lineStart, at)
  return lineStart > 0 && before.trim() === '' ? `\n${before}` : ' '
}

// Next.js gives webpack's configuration to a function, which returns it.
function addToFunction(text: MagicString, config: ObjectExpression, plugin: string): string | undefined {
  const found = propertyOf(config, 'webpack')
  if (!found) {
    addProperty(text, config, `webpack(config) {\n    config.plugins.push(${plugin}())\n    return config\n  }`)
    return undefined
  }
  const { start } = functionBody(bare(found.value)) ?? {}
  const parameter = parameterName(bare(found.value))
  if (parameter === undefined || start === undefined) return `'webpack' is not a function with a body`
  text.appendLeft(start + 1, `\n    ${parameter}.plugins.push(${plugin}())`)
  return undefined
}

function functionBody(node: Expression): { readonly start: number } | undefined {
  if (node.type === 'FunctionExpression') return node.body ?? undefined
  if (node.type === 'ArrowFunctionExpression') return node.body.type === 'BlockStatement' ? node.body : undefined
  return undefined
}

function parameterName(node: Expression): string | undefined {
  if (node.type !== 'FunctionExpression' && node.type !== 'ArrowFunctionExpression') return undefined
  const [first] = node.params as readonly { readonly type: string; readonly name?: string }[]
  return first?.type === 'Identifier' ? first.name : undefined
}

function addImport(text: MagicString, { source, program }: SourceTree, from: string, name: string): void {
  const quote = source.includes(`from "`) || source.includes(`require("`) ? '"' : "'"
  const imports = program.body.filter(({ type }) => type === 'ImportDeclaration')
  const last = imports.at(-1)
  const sample = last ?? program.body.find(({ type }) => type !== 'ExportDefaultDeclaration')
  const end = sample === undefined || source[sample.end - 1] === ';' ? ';' : ''
  const semicolon = sample === undefined ? '' : end
  const isCommonJs = last === undefined && source.includes('module.exports')
  const path = `${quote}${from}${quote}`
  // Node.js loads ES modules by require() since 20.19.
  const line = isCommonJs
    ? `const ${name} = require(${path}).default${semicolon}`
    : `import ${name} from ${path}${semicolon}`
  if (last) text.appendRight(last.end, `\n${line}`)
  else text.appendLeft(firstStatement(program), `${line}\n`)
}

/** Where the first statement after directives begins. */
function firstStatement({ body }: Program): number {
  const first = body.find((statement) => !('directive' in statement && statement.directive))
  return first?.start ?? 0
}

/** A name that the module does not use yet. */
function freeName({ source }: SourceTree): string {
  const names = ['onnx', 'unpluginOnnx', 'onnxEngines']
  return names.find((name) => !new RegExp(`\\b${name}\\b`).test(source)) ?? 'unpluginOnnxPlugin'
}

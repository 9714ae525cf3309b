import { existsSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { getTsconfig } from 'get-tsconfig'
import { MagicString } from 'magic-string'
import type { ObjectExpression } from 'oxc-parser'
import { literalValue, parseSource, propertyOf } from './source-tree.ts'

/** The tsconfig of an app, as it should be; without `text`, it is so already or cannot be changed. */
export interface EditedTsconfig {
  /** Absolute path. */
  readonly file: string
  readonly text?: string
  /** Why it cannot be changed. */
  readonly reason?: string
}

/**
 * The tsconfig.json of an app with what the types of models need: see docs/types.md. Comments and everything else stay.
 * Undefined for an app without such a file.
 */
export async function editTsconfig(root: string, typesDir: string): Promise<EditedTsconfig | undefined> {
  const file = findTsconfig(root)
  if (file === undefined) return undefined
  const source = readFileSync(file, 'utf8')
  const tree = await parseSource('tsconfig.ts', `(${source})`)
  const statement = tree?.program.body[0]
  const inner = statement?.type === 'ExpressionStatement' ? statement.expression : undefined
  const object = inner?.type === 'ParenthesizedExpression' ? inner.expression : inner
  if (object?.type !== 'ObjectExpression') return { file, reason: 'it cannot be parsed' }
  const types = relative(root, typesDir).split(sep).join('/')
  const text = new MagicString(`(${source})`)
  if (!addSnippet({ text, object, file, types })) return { file, reason: 'its values are not as expected' }
  const changed = text.toString().slice(1, -1)
  return changed === source ? { file } : { file, text: changed }
}

// Vite's template has a tsconfig.json with nothing but references.
function findTsconfig(root: string): string | undefined {
  const names = ['tsconfig.app.json', 'tsconfig.json', 'jsconfig.json']
  return names.map((name) => join(root, name)).find((name) => existsSync(name))
}

interface Snippet {
  readonly text: MagicString
  readonly object: ObjectExpression
  readonly file: string
  /** The generated folder, relative to the root. */
  readonly types: string
}

/** Adds what is missing; false if a key has a value of another kind. */
function addSnippet({ text, object, file, types }: Snippet): boolean {
  const known = inherited(file)
  const compiler = propertyOf(object, 'compilerOptions')?.value
  if (compiler && compiler.type !== 'ObjectExpression') return false
  const rootDirs = withAll(known.rootDirs ?? [], ['.', `./${types}/types`])
  const include = withAll(known.include ?? (known.files ? [] : ['**/*']), [`${types}/**/*`])
  const options: Entry[] = []
  if (!known.allowArbitraryExtensions) options.push(['allowArbitraryExtensions', 'true'])
  if (rootDirs) options.push(['rootDirs', listText(rootDirs)])
  const entries: Entry[] = []
  if (compiler) setAll(text, compiler, options)
  else if (options.length > 0) entries.push(['compilerOptions', `{ ${entriesText(options, ' ')} }`])
  if (include) entries.push(['include', listText(include)])
  setAll(text, object, entries)
  return true
}

interface Known {
  readonly allowArbitraryExtensions?: boolean | undefined
  readonly rootDirs?: readonly string[] | undefined
  readonly include?: readonly string[] | undefined
  readonly files?: readonly string[] | undefined
}

/** What is set, also in the files that this one extends. */
function inherited(file: string): Known {
  const name = relative(join(file, '..'), file)
  const config = getTsconfig(file, name)?.config ?? {}
  const { compilerOptions = {}, include, files } = config
  const { rootDirs } = compilerOptions
  const { allowArbitraryExtensions } = compilerOptions as { allowArbitraryExtensions?: boolean }
  return { allowArbitraryExtensions, rootDirs, include, files }
}

/** The list with these elements too; undefined if it has them. `./a` and `a` are the same. */
function withAll(list: readonly string[], wanted: readonly string[]): readonly string[] | undefined {
  const present = new Set(list.map(plainPath))
  const missing = wanted.filter((element) => !present.has(plainPath(element)))
  return missing.length > 0 ? [...list, ...missing] : undefined
}

function plainPath(path: string): string {
  return path.replace(/^\.\/(?=.)/, '').replace(/\/$/, '')
}

function listText(list: readonly string[]): string {
  return `[${list.map((element) => JSON.stringify(element)).join(', ')}]`
}

/** A key and its value as text. */
type Entry = readonly [key: string, value: string]

function entriesText(entries: readonly Entry[], space: string): string {
  return entries.map(([key, value]) => `"${key}": ${value}`).join(`,${space}`)
}

/** Sets keys of an object; new ones come last, in its own layout. */
function setAll(text: MagicString, object: ObjectExpression, entries: readonly Entry[]): void {
  for (const [key, value] of entries) {
    const found = propertyOf(object, key)
    if (found && JSON.stringify(literalValue(found.value)) !== value)
      text.update(found.value.start, found.value.end, value)
  }
  const added = entries.filter(([key]) => !propertyOf(object, key))
  const last = object.properties.at(-1)
  if (added.length === 0) return
  if (!last) {
    text.update(object.start, object.end, `{ ${entriesText(added, ' ')} }`)
    return
  }
  const { original } = text
  const indent = original.slice(original.lastIndexOf('\n', last.start) + 1, last.start)
  const isOnLine = indent.trim() === '' && indent.length < last.start
  const space = isOnLine ? `\n${indent}` : ' '
  const hasComma = original.slice(last.end).trimStart().startsWith(',')
  if (!hasComma) text.appendLeft(last.end, ',')
  // After a comment in the line of the last property.
  const lineEnd = original.indexOf('\n', last.end)
  const at = isOnLine && lineEnd >= 0 && lineEnd < object.end ? lineEnd : last.end + (hasComma ? 1 : 0)
  text.appendLeft(at, `${space}${entriesText(added, space)}${hasComma ? ',' : ''}`)
}

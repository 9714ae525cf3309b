import { extname } from 'node:path'
import type { Argument, Expression, StringLiteral } from 'oxc-parser'
import { platformName } from '../../native/platform.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'

/** The text of an import and its line, counted from 1. */
export interface Specifier {
  readonly text: string
  readonly line: number
}

export interface SourceSpecifiers {
  /** Every import whose text contains an ending of models. */
  readonly specifiers: readonly Specifier[]
  /** Source text of imports with a query whose name is composed at run time: bundlers drop the query of those. */
  readonly lossy: readonly Specifier[]
  /** The parser's first message, if it could not read the whole source. */
  readonly error?: string
}

export const sourceExtensions = [
  '.ts',
  '.tsx',
  '.mts',
  '.cts',
  '.js',
  '.jsx',
  '.mjs',
  '.cjs',
  '.vue',
  '.svelte',
] as const

/**
 * The models that a source file imports with `import`, `export ... from`, `import()`, `import x = require()`,
 * `require()`, or `import('...')` in a type. In Vue and Svelte files, the script blocks are read. Throws TYPES_FAILED
 * if the parser is not fully installed.
 *
 * @param endings how the names of models end
 */
export async function modelSpecifiers(
  file: string,
  source: string,
  endings: readonly string[] = ['.onnx'],
): Promise<SourceSpecifiers> {
  const parser = await loadParser()
  const extension = extname(file)
  const parts = components.has(extension) ? scriptBlocks(source) : [{ code: source, offset: 0, name: file }]
  const results = parts.map(({ code, offset, name }) =>
    specifiersOf(parser, { name, code, firstLine: source.slice(0, offset).split('\n').length }, endings),
  )
  const error = results.find((result) => result.error !== undefined)?.error
  return {
    specifiers: results.flatMap(({ specifiers }) => specifiers),
    lossy: results.flatMap(({ lossy }) => lossy),
    ...(error !== undefined && { error }),
  }
}

const components = new Set(['.vue', '.svelte'])

type Parser = typeof import('oxc-parser')

/**
 * The parser of source text. Only commands that read sources need it, and its binary is an optional dependency: the
 * others work without it. Throws TYPES_FAILED if it is not fully installed.
 */
export async function loadParser(): Promise<Parser> {
  try {
    return await import('oxc-parser')
  } catch (cause) {
    throw new OnnxEngineError('TYPES_FAILED', 'the parser of source text (oxc-parser) could not be loaded', {
      expected: `its optional dependency for ${platformName()} in node_modules`,
      received: 'none that loads',
      hint:
        'Install again on this machine, with optional dependencies. ' +
        'Builds do not need the parser, and they write types too.',
      cause,
    })
  }
}

interface Script {
  readonly name: string
  readonly code: string
  /** Its first line in the file. */
  readonly firstLine: number
}

function specifiersOf(
  { parseSync, Visitor }: Parser,
  { name, code, firstLine }: Script,
  endings: readonly string[],
): SourceSpecifiers {
  const isLikely = (text: string) => endings.some((ending) => text.includes(ending))
  const { program, errors } = parseSync(name, code)
  const specifiers: Specifier[] = []
  const lossy: Specifier[] = []
  const lineAt = (offset: number) => firstLine + code.slice(0, offset).split('\n').length - 1
  const add = (node: StringLiteral | Expression | Argument | null | undefined) => {
    if (node?.type === 'Literal' && typeof node.value === 'string') {
      if (isLikely(node.value)) specifiers.push({ text: node.value, line: lineAt(node.start) })
    } else if (node?.type === 'TemplateLiteral') {
      const [first] = node.quasis
      if (node.expressions.length === 0) {
        const text = first?.value.cooked ?? ''
        if (isLikely(text)) specifiers.push({ text, line: lineAt(node.start) })
      } else if (node.quasis.some(({ value }) => endings.some((ending) => value.raw.includes(`${ending}?`)))) {
        lossy.push({ text: code.slice(node.start, node.end), line: lineAt(node.start) })
      }
    }
  }
  new Visitor({
    ImportDeclaration: ({ source }) => add(source),
    ExportNamedDeclaration: ({ source }) => add(source),
    ExportAllDeclaration: ({ source }) => add(source),
    ImportExpression: ({ source }) => add(source),
    TSImportType: ({ source }) => add(source),
    TSExternalModuleReference: ({ expression }) => add(expression),
    CallExpression: ({ callee, arguments: [argument] }) => {
      if (callee.type === 'Identifier' && callee.name === 'require') add(argument)
    },
  }).visit(program)
  const broken = program.body.length === 0 ? errors[0]?.message : undefined
  return { specifiers, lossy, ...(broken !== undefined && { error: broken }) }
}

interface Block {
  readonly code: string
  /** Where the code begins in the file. */
  readonly offset: number
  /** A file name, from which the parser knows the language. */
  readonly name: string
}

function scriptBlocks(source: string): Block[] {
  const blocks: Block[] = []
  for (let at = source.indexOf('<script'); at >= 0; at = source.indexOf('<script', at)) {
    const offset = tagEnd(source, at)
    const end = source.indexOf('</script', offset)
    if (end < 0) break
    // TypeScript's grammar reads plain JavaScript too; only JSX differs.
    const isJsx = /\blang=["']?[jt]sx\b/.test(source.slice(at, offset))
    blocks.push({ code: source.slice(offset, end), offset, name: isJsx ? 'script.tsx' : 'script.ts' })
    at = end
  }
  return blocks
}

// An attribute may contain '>', such as Svelte's generics.
function tagEnd(source: string, start: number): number {
  let quote = ''
  for (let at = start; at < source.length; at++) {
    const character = source[at] ?? ''
    if (quote !== '') quote = character === quote ? '' : quote
    else if (character === '"' || character === "'") quote = character
    else if (character === '>') return at + 1
  }
  return source.length
}

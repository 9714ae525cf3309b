import { existsSync, readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { types } from 'node:util'
import { OnnxEngineError, textOf } from '../../runtime/errors.ts'
import { describeValue } from '../../runtime/text.ts'
import type { Options } from './types.ts'

/** The options of a file, as the user wrote them. */
export interface ConfigFile {
  readonly file: string
  /** Size and time of the file when it was read. */
  readonly stamp: string
  /** Not checked yet, except that it is an object. Its `root` is the folder of the file unless the file has one. */
  readonly options: Options
}

/** Names of the file, of which a folder may have one. */
export const configNames: readonly string[] = ['ts', 'mts', 'mjs', 'js', 'json'].map(
  (extension) => `unplugin-onnx.config.${extension}`,
)

/**
 * The path of the file: in `root` or a folder above, up to the nearest one with a package.json. Undefined if there is
 * none. Throws OPTION_INVALID if a folder has two.
 */
export function findConfig(root: string): string | undefined {
  for (let folder = resolve(root); ; folder = dirname(folder)) {
    const [first, second] = configNames.map((name) => join(folder, name)).filter((file) => existsSync(file))
    if (first !== undefined && second !== undefined)
      throw new OnnxEngineError('OPTION_INVALID', `the configuration in ${folder}`, {
        expected: 'one file',
        received: `${basename(first)} and ${basename(second)}`,
        hint: 'Remove one of them',
      })
    if (first !== undefined) return first
    if (existsSync(join(folder, 'package.json')) || folder === dirname(folder)) return undefined
  }
}

/** Reads the file of the app, again if it has changed; undefined if there is none. Throws OPTION_INVALID. */
export function readConfig(root: string): ConfigFile | undefined {
  const file = findConfig(root)
  if (file === undefined) return undefined
  const stamp = configStamp(file)
  const before = known.get(file)
  if (before?.stamp === stamp) return before
  const value = evaluate(file, before !== undefined)
  if (typeof value !== 'object' || value === null || Array.isArray(value) || types.isPromise(value))
    throw invalid(file, {
      expected: extname(file) === '.json' ? 'an object' : 'an object as its default export',
      received: types.isPromise(value) ? 'a promise' : describeValue(value),
    })
  const read = { file, stamp, options: { root: dirname(file), ...value } }
  known.set(file, read)
  return read
}

/** Changes with the content of the file; '' if it is gone. */
export function configStamp(file: string): string {
  const stats = statSync(file, { bigint: true, throwIfNoEntry: false })
  return stats ? [stats.size, stats.mtimeNs, stats.ctimeNs, stats.ino].join() : ''
}

const known = new Map<string, ConfigFile>()

function evaluate(file: string, isAgain: boolean): unknown {
  try {
    if (extname(file) === '.json') return JSON.parse(readFileSync(file, 'utf8'))
    return defaultOf(isAgain || !isReadByNode(file) ? requireByJiti(file) : requireByNode(file))
  } catch (cause) {
    if (cause instanceof OnnxEngineError) throw cause
    const isAsync = (cause as NodeJS.ErrnoException | null)?.code === 'ERR_REQUIRE_ASYNC_MODULE'
    throw invalid(file, {
      expected: isAsync ? 'a module without await at its top level' : 'a file that can be read',
      received: isAsync ? 'one with it' : textOf(cause),
      cause,
    })
  }
}

/** Whether this Node.js runs the file as it is: it reads TypeScript since 22.18, as far as types can be erased. */
function isReadByNode(file: string): boolean {
  return /\.m?js$/.test(file) || Boolean((process.features as { readonly typescript?: unknown }).typescript)
}

function requireByNode(file: string): unknown {
  try {
    // From inside of node_modules: Node.js 20 and 22.12 print a warning if a file elsewhere requires an ES module.
    return createRequire(join(dirname(file), 'node_modules', 'unplugin-onnx', 'config.js'))(file)
  } catch (error) {
    if (/\.m?js$/.test(file) || !needsCompiler.has(String((error as NodeJS.ErrnoException | null)?.code))) throw error
    return requireByJiti(file)
  }
}

// Syntax such as enums, and imports without an extension.
const needsCompiler: ReadonlySet<string> = new Set([
  'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX',
  'ERR_MODULE_NOT_FOUND',
  'MODULE_NOT_FOUND',
])

// Loaded only here: it takes longer than all else that reads a configuration. It also reads a file again that Node.js
// has read, whose modules stay in memory.
function requireByJiti(file: string): unknown {
  const { createJiti } = createRequire(import.meta.url)('jiti') as typeof import('jiti')
  return createJiti(file, { moduleCache: false, fsCache: false, interopDefault: false })(file)
}

// A CommonJS module exports the options themselves.
function defaultOf(module: unknown): unknown {
  const isModule =
    typeof module === 'object' && module !== null && (Symbol.toStringTag in module || '__esModule' in module)
  return isModule ? (module as { readonly default?: unknown }).default : module
}

function invalid(file: string, details: ConstructorParameters<typeof OnnxEngineError>[2]): OnnxEngineError {
  return new OnnxEngineError('OPTION_INVALID', file, details)
}

import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { relative, join, resolve, dirname, extname } from 'node:path'
import { type Cache, createPathsMatcher, type TsConfigResult, getTsconfig, parseTsconfig } from 'get-tsconfig'
import { glob } from 'tinyglobby'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { parseRequest } from '../options/query.ts'
import { compileOptions } from '../options/resolve.ts'
import type { ResolvedOptions } from '../options/schema.ts'
import type { ModelImport } from './model-import.ts'
import { resolveModel } from './resolve.ts'
import { sourceExtensions, modelSpecifiers, type Specifier } from './specifiers.ts'

/** An alias as bundlers have it: a string stands for itself and for whatever follows it after '/'. */
export interface Alias {
  readonly find: string | RegExp
  /** A path (relative to the root when it starts with '.') or the name of a package. */
  readonly replacement: string
}

export interface FoundImports {
  readonly imports: readonly ModelImport[]
  /**
   * Imports that cannot be typed: MODEL_NOT_FOUND, QUERY_INVALID, OPTION_INVALID, or TYPES_FAILED for a file that
   * cannot be parsed.
   */
  readonly problems: readonly OnnxEngineError[]
  /** Imports that are not wrong but lose something, one sentence each. */
  readonly notes: readonly string[]
}

/**
 * Finds every import of a model in the sources below `options.root`, without a bundler. Names are resolved by `alias`,
 * by the `paths` of the nearest tsconfig.json or jsconfig.json and of those it refers to, by Node's rules, and past the
 * `exports` of a package. Throws OPTION_INVALID when there is no such folder, and TYPES_FAILED where the parser of
 * sources is not fully installed.
 */
export async function findImports({
  options,
  alias = [],
}: {
  readonly options: ResolvedOptions
  readonly alias?: readonly Alias[]
}): Promise<FoundImports> {
  const imports: ModelImport[] = []
  const problems: OnnxEngineError[] = []
  const notes: string[] = []
  if (!existsSync(options.root))
    throw new OnnxEngineError('OPTION_INVALID', `option 'root'`, {
      expected: 'a folder that exists',
      received: options.root,
    })
  const paths = tsconfigPaths()
  const importers = await glob(`**/*{${sourceExtensions.join(',')}}`, {
    cwd: options.root,
    absolute: true,
    ignore: ignoredSources(options),
  })

  for (const importer of importers.sort()) {
    const source = await readFile(importer, 'utf8')
    if (!source.includes('.onnx')) continue
    const { specifiers, lossy, error } = await modelSpecifiers(importer, source)
    if (error !== undefined) {
      problems.push(
        new OnnxEngineError('TYPES_FAILED', relative(options.root, importer), {
          expected: 'source text that can be parsed',
          received: error,
        }),
      )
    }
    notes.push(
      ...lossy.map(
        ({ text, line }) =>
          `${relative(options.root, importer)}:${line}: the import ${text} loses its query, because its name is known at run time only. Write one import for each model`,
      ),
    )
    for (const specifier of specifiers) {
      try {
        const found = await modelImport(importer, specifier, options, alias, paths)
        if (found !== undefined) imports.push(found)
      } catch (error) {
        if (!(error instanceof OnnxEngineError)) throw error
        problems.push(atLine(error, `${relative(options.root, importer)}:${specifier.line}`))
      }
    }
  }
  return { imports, problems, notes }
}

/** Patterns of what `findImports` passes over, besides hidden folders. */
export function ignoredSources({ root, types }: ResolvedOptions): string[] {
  const generated = types && relative(root, types.dir).replaceAll('\\', '/')
  return ['**/node_modules/**', '**/dist/**', '**/coverage/**', ...(generated ? [`${generated}/**`] : [])]
}

type Paths = (importer: string, specifier: string) => readonly string[]

async function modelImport(
  importer: string,
  { text }: Specifier,
  options: ResolvedOptions,
  alias: readonly Alias[],
  paths: Paths,
): Promise<ModelImport | undefined> {
  const request = parseRequest(text)
  if (request === undefined) return undefined
  const name = aliased(request.file, options.root, alias)
  // A key of "paths" may hold the query; a path from '/' starts at the root, as Vite has it.
  const candidates = () => [
    ...paths(importer, text),
    ...paths(importer, name),
    ...(name.startsWith('/') ? [join(options.root, name)] : []),
  ]
  const ask = async (): Promise<string | undefined> => candidates().find(isModel)
  const file = await resolveModel(name, { importer, root: options.root, ask })
  if (file === undefined) return undefined
  const {
    shapes,
    precision: { io },
  } = compileOptions(options, { ...request, file })
  return { importer, specifier: text, file, shapes, io }
}

function isModel(path: string): boolean {
  return path.endsWith('.onnx') && existsSync(path)
}

function aliased(name: string, root: string, alias: readonly Alias[]): string {
  const path = alias.map((entry) => applyAlias(entry, name)).find((found) => found !== undefined) ?? name
  return path !== name && path.startsWith('.') ? resolve(root, path) : path
}

function applyAlias({ find, replacement }: Alias, name: string): string | undefined {
  if (typeof find !== 'string') {
    const replaced = name.replace(find, replacement)
    return replaced === name ? undefined : replaced
  }
  const rest = name.slice(find.length)
  return name.startsWith(find) && (rest === '' || rest.startsWith('/') || find.endsWith('/'))
    ? replacement + rest
    : undefined
}

function tsconfigPaths(): Paths {
  const cache: Cache = new Map()
  const matchers = new Map<string, readonly ((specifier: string) => string[])[]>()
  return (importer, specifier) => {
    const folder = dirname(importer)
    const known =
      matchers.get(folder) ??
      configsOf(folder, cache)
        .map((config) => createPathsMatcher(config))
        .filter((matcher) => matcher !== null)
    matchers.set(folder, known)
    return known.flatMap((matcher) => matcher(specifier))
  }
}

// A solution's tsconfig.json has references only; the paths are in what it refers to.
function configsOf(folder: string, cache: Cache): TsConfigResult[] {
  try {
    const nearest = getTsconfig(folder, 'tsconfig.json', cache) ?? getTsconfig(folder, 'jsconfig.json', cache)
    if (nearest === null) return []
    const references = nearest.config.references?.map(({ path }) => {
      const target = resolve(dirname(nearest.path), path)
      const file = extname(target) === '.json' ? target : join(target, 'tsconfig.json')
      return { path: file, config: parseTsconfig(file, cache) }
    })
    return [nearest, ...(references ?? [])]
  } catch {
    // TypeScript itself reports a broken configuration, at every run.
    return []
  }
}

function atLine(error: OnnxEngineError, place: string): OnnxEngineError {
  const { code, message, expected, received, hint } = error
  return Object.assign(new OnnxEngineError(code, `${message}\n  at ${place}`, { cause: error }), {
    expected,
    received,
    hint,
  })
}

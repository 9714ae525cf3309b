import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { relative, join, resolve, dirname, extname } from 'node:path'
import { type Cache, createPathsMatcher, type TsConfigResult, getTsconfig, parseTsconfig } from 'get-tsconfig'
import { glob } from 'tinyglobby'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { modelEndings, modelFilterOf, parseRequest } from '../options/query.ts'
import { compileOptions } from '../options/resolve.ts'
import type { ResolvedOptions } from '../options/schema.ts'
import { type ModelImport, typedOptions } from './model-import.ts'
import { resolveModel } from './resolve.ts'
import { sourceExtensions, modelSpecifiers, type Specifier } from './specifiers.ts'

/** An alias as in bundlers: a string replaces itself, also when '/' and more text follow it. */
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
  /** Imports that work but lose their query, one sentence each. */
  readonly notes: readonly string[]
}

/**
 * Finds every import of a model in the sources below `options.root`, without a bundler. Names are resolved by `alias`,
 * by the `paths` of the nearest tsconfig.json or jsconfig.json and of the projects that it references, by Node's rules,
 * and past the `exports` of a package. Throws OPTION_INVALID when there is no such folder, and TYPES_FAILED if the
 * parser is not fully installed.
 */
export async function findImports({
  options,
  alias = [],
}: {
  readonly options: ResolvedOptions
  readonly alias?: readonly Alias[]
}): Promise<FoundImports> {
  const { root } = options
  const imports: ModelImport[] = []
  const problems: OnnxEngineError[] = []
  const notes: string[] = []
  if (!existsSync(root))
    throw new OnnxEngineError('OPTION_INVALID', `option 'root'`, {
      expected: 'a folder that exists',
      received: root,
    })
  const resolver = { options, alias, paths: tsconfigPaths() }
  const endings = modelEndings(options.convert)
  for (const importer of await sourceFiles(options)) {
    const source = await readFile(importer, 'utf8')
    if (!endings.some((ending) => source.includes(ending))) continue
    const { specifiers, lossy, error } = await modelSpecifiers(importer, source, endings)
    if (error !== undefined) problems.push(unreadable(relative(root, importer), error))
    notes.push(...lossy.map((specifier) => lostQueryNote(relative(root, importer), specifier)))
    for (const specifier of specifiers) {
      try {
        const item = await modelImport(importer, specifier.text, resolver)
        if (item !== undefined) imports.push(item)
      } catch (cause) {
        if (!(cause instanceof OnnxEngineError)) throw cause
        problems.push(atLine(cause, `${relative(root, importer)}:${specifier.line}`))
      }
    }
  }
  return { imports, problems, notes }
}

async function sourceFiles(options: ResolvedOptions): Promise<readonly string[]> {
  const files = await glob(`**/*{${sourceExtensions.join(',')}}`, {
    cwd: options.root,
    absolute: true,
    ignore: ignoredSources(options),
  })
  return files.sort()
}

function unreadable(file: string, message: string): OnnxEngineError {
  return new OnnxEngineError('TYPES_FAILED', file, { expected: 'source text that can be parsed', received: message })
}

function lostQueryNote(file: string, { text, line }: Specifier): string {
  const reason = 'because its name is known only at run time. Write one import for each model'
  return `${file}:${line}: the import ${text} loses its query, ${reason}`
}

/** Glob patterns of files that `findImports` skips, in addition to hidden folders. */
export function ignoredSources({ root, types }: ResolvedOptions): string[] {
  const generated = types && relative(root, types.dir).replaceAll('\\', '/')
  return ['**/node_modules/**', '**/dist/**', '**/coverage/**', ...(generated ? [`${generated}/**`] : [])]
}

/** Candidate files for a specifier, by the `paths` of the importer's tsconfig.json. */
type Paths = (importer: string, specifier: string) => readonly string[]

interface Resolver {
  readonly options: ResolvedOptions
  readonly alias: readonly Alias[]
  readonly paths: Paths
}

async function modelImport(
  importer: string,
  specifier: string,
  { options, alias, paths }: Resolver,
): Promise<ModelImport | undefined> {
  const { root } = options
  const filter = modelFilterOf(options.convert)
  const request = parseRequest(specifier, filter)
  if (request === undefined) return undefined
  const name = applyAliases(alias, request.file, root)
  // A key of "paths" may contain the query; a path that starts with '/' starts at the root, as in Vite.
  const candidates = () => [
    ...paths(importer, specifier),
    ...paths(importer, name),
    ...(name.startsWith('/') ? [join(root, name)] : []),
  ]
  const resolveImport = async (): Promise<string | undefined> =>
    candidates().find((path) => filter.test(path) && existsSync(path))
  const file = await resolveModel(name, { importer, root, resolveImport })
  if (file === undefined) return undefined
  return { importer, specifier, file, ...typedOptions(compileOptions(options, { ...request, file })) }
}

function applyAliases(aliases: readonly Alias[], name: string, root: string): string {
  const path = aliases.map((alias) => applyAlias(alias, name)).find((result) => result !== undefined) ?? name
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
    const matchersHere =
      matchers.get(folder) ??
      configsOf(folder, cache)
        .map((config) => createPathsMatcher(config))
        .filter((matcher) => matcher !== null)
    matchers.set(folder, matchersHere)
    return matchersHere.flatMap((matcher) => matcher(specifier))
  }
}

// The tsconfig.json of a solution has only references; the paths are in the projects that it references.
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

/**
 * The imports of an app. resolve.ts finds the model file that an import means, for bundlers and for the command;
 * find.ts finds every import in the sources, with the parser in specifiers.ts; watch.ts repeats that after each
 * change.
 */
import { existsSync, readdirSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { nearest } from '../../runtime/nearest.ts'
import { didYouMean } from '../text.ts'

/** The place of an import, from which its specifier is resolved. */
export interface ImportSite {
  /** Path or id of the importing module; undefined for an entry. */
  readonly importer: string | undefined
  /** Folder that entries are resolved from, and that messages show paths from. */
  readonly root: string
  /** The bundler's resolver, for aliases and similar: gives an absolute path, another plugin's id, or undefined. */
  readonly resolveImport?: (specifier: string) => Promise<string | undefined>
}

/**
 * The absolute path of an imported model. Tried in this order: relative to the importer, the bundler's aliases, Node's
 * rules (`#imports` and packages), and a path past the `exports` of a package, which rarely list model files. Links of
 * folders are followed, so that a linked package is one package; the file keeps its own name, because a link may point
 * at a store that renames its files. Returns undefined when the id belongs to another plugin. Throws MODEL_NOT_FOUND.
 */
export async function resolveModel(specifier: string, site: ImportSite): Promise<string | undefined> {
  if (!isRelative(specifier) && findDirect(specifier, site) === undefined) {
    const resolved = await site.resolveImport?.(specifier)
    if (resolved !== undefined) return existsSync(resolved) ? canonicalPath(resolved) : undefined
  }
  return resolveModelInNode(specifier, site)
}

/** The same without a bundler: its aliases are not known. Throws MODEL_NOT_FOUND. */
export function resolveModelInNode(specifier: string, site: Omit<ImportSite, 'resolveImport'>): string {
  const folder = folderOf(site)
  const file =
    findDirect(specifier, site) ??
    (isRelative(specifier) ? undefined : (resolveByNode(specifier, folder) ?? findInNodeModules(specifier, folder)))
  if (file !== undefined) return canonicalPath(file)
  throw notFound(specifier, directPath(specifier, folder), site)
}

function folderOf({ importer, root }: ImportSite): string {
  const from = importer?.split('?', 1)[0] ?? ''
  return isAbsolute(from) ? dirname(from) : root
}

function isRelative(specifier: string): boolean {
  return /^\.{1,2}[\\/]/.test(specifier)
}

function findDirect(specifier: string, site: ImportSite): string | undefined {
  const direct = directPath(specifier, folderOf(site))
  return direct !== undefined && existsSync(direct) ? direct : undefined
}

function directPath(specifier: string, folder: string): string | undefined {
  if (specifier.startsWith('file:')) return fileURLToPath(specifier)
  return isAbsolute(specifier) || isRelative(specifier) ? resolve(folder, specifier) : undefined
}

function resolveByNode(specifier: string, folder: string): string | undefined {
  try {
    return createRequire(join(folder, 'importer.js')).resolve(specifier)
  } catch {
    return undefined
  }
}

function findInNodeModules(specifier: string, folder: string): string | undefined {
  if (!/^(?:@[^/]+\/)?[\w-][^/:]*\/[^/]/.test(specifier)) return undefined
  for (let at = folder; ; at = dirname(at)) {
    const file = join(at, 'node_modules', specifier)
    if (existsSync(file)) return file
    if (at === dirname(at)) return undefined
  }
}

// Bundlers compare ids as text and write them with '/' on every platform.
function canonicalPath(file: string): string {
  const path = join(realpathSync(dirname(file)), basename(file))
  return sep === '/' ? path : path.replaceAll(sep, '/')
}

function notFound(specifier: string, direct: string | undefined, { importer, root }: ImportSite): OnnxEngineError {
  const place = importer === undefined ? '' : ` in ${relative(root, importer)}`
  const near = direct && nearest(basename(direct), modelsIn(dirname(direct)))
  return new OnnxEngineError('MODEL_NOT_FOUND', `import '${specifier}'${place}`, {
    expected: 'a model file',
    received:
      direct === undefined
        ? 'a name that no alias, package or imports entry has'
        : `nothing at ${relative(root, direct)}`,
    hint: near
      ? didYouMean(specifier.slice(0, -basename(direct).length) + near)
      : 'Check the path, or install the package that has the model',
  })
}

function modelsIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith('.onnx'))
  } catch {
    return []
  }
}

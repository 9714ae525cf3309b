import { existsSync, readdirSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { nearest, OnnxEngineError } from '../../runtime/errors.ts'
import { didYouMean } from '../text.ts'

/** Where a model's import stands. */
export interface ImportSite {
  /** Path or id of the importing module; undefined for an entry. */
  readonly importer: string | undefined
  /** Folder that entries are resolved from, and that messages show paths from. */
  readonly root: string
  /** The bundler's own resolver, for aliases and the like: an absolute path, another plugin's id, or undefined. */
  readonly ask?: (specifier: string) => Promise<string | undefined>
}

/**
 * The absolute path of an imported model: relative to the importer, by the bundler's aliases, by Node's rules
 * (`#imports` and packages), and at last past the `exports` of a package, which rarely list model files. Folders on the
 * way are real ones, so that a linked package is one package; the file's own name stays, because a link may point at a
 * store that renames its files. Returns undefined when the id belongs to another plugin. Throws MODEL_NOT_FOUND.
 */
export async function resolveModel(specifier: string, site: ImportSite): Promise<string | undefined> {
  const from = site.importer?.split('?', 1)[0] ?? ''
  const folder = isAbsolute(from) ? dirname(from) : site.root
  const direct = directPath(specifier, folder)
  if (direct !== undefined && existsSync(direct)) return canonical(direct)

  const isRelative = /^\.{1,2}[\\/]/.test(specifier)
  if (!isRelative) {
    const asked = await site.ask?.(specifier)
    if (asked !== undefined) return existsSync(asked) ? canonical(asked) : undefined
    const found = fromNode(specifier, folder) ?? fromNodeModules(specifier, folder)
    if (found !== undefined) return canonical(found)
  }
  throw notFound(specifier, direct, site)
}

function directPath(specifier: string, folder: string): string | undefined {
  if (specifier.startsWith('file:')) return fileURLToPath(specifier)
  return isAbsolute(specifier) || /^\.{1,2}[\\/]/.test(specifier) ? resolve(folder, specifier) : undefined
}

function fromNode(specifier: string, folder: string): string | undefined {
  try {
    return createRequire(join(folder, 'importer.js')).resolve(specifier)
  } catch {
    return undefined
  }
}

function fromNodeModules(specifier: string, folder: string): string | undefined {
  if (!/^(?:@[^/]+\/)?[\w-][^/:]*\/[^/]/.test(specifier)) return undefined
  for (let at = folder; ; at = dirname(at)) {
    const file = join(at, 'node_modules', specifier)
    if (existsSync(file)) return file
    if (at === dirname(at)) return undefined
  }
}

// Bundlers compare ids as text and write them with '/' on every platform.
function canonical(file: string): string {
  const path = join(realpathSync(dirname(file)), basename(file))
  return sep === '/' ? path : path.replaceAll(sep, '/')
}

function notFound(specifier: string, direct: string | undefined, { importer, root }: ImportSite): OnnxEngineError {
  const where = `import '${specifier}'${importer === undefined ? '' : ` in ${relative(root, importer)}`}`
  const near = direct && nearest(basename(direct), modelsIn(dirname(direct)))
  return new OnnxEngineError('MODEL_NOT_FOUND', where, {
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

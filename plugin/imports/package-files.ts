import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/** An installed package. */
export interface PackageFolder {
  readonly name: string
  /** The real path: a linked package is one package. */
  readonly folder: string
  readonly manifest: PackageManifest
}

/** The part of a package.json that says what the package has and needs. */
export interface PackageManifest {
  readonly exports?: unknown
  readonly main?: unknown
  readonly module?: unknown
  readonly dependencies?: object
  readonly devDependencies?: object
  readonly optionalDependencies?: object
  readonly peerDependencies?: object
}

/** The package and the path inside it that a bare specifier means; undefined for any other specifier. */
export function splitSpecifier(specifier: string): { readonly name: string; readonly subpath: string } | undefined {
  const [, name, rest = ''] = /^((?:@[^/\s]+\/)?[^@./\s:#\\][^/\s:?\\]*)(\/[^?]*)?(?:\?.*)?$/.exec(specifier) ?? []
  return name === undefined ? undefined : { name, subpath: `.${rest}` }
}

/** The package of that name that code in `from` gets from Node.js; undefined if none is installed. */
export function findPackage(name: string, from: string): PackageFolder | undefined {
  for (let at = from; ; at = dirname(at)) {
    const folder = join(at, 'node_modules', name)
    if (existsSync(join(folder, 'package.json'))) {
      const manifest = readManifest(folder)
      return manifest && { name, folder: realpathSync(folder), manifest }
    }
    if (at === dirname(at)) return undefined
  }
}

/** The package.json of a folder; undefined if there is none that can be read. */
export function readManifest(folder: string): PackageManifest | undefined {
  try {
    const manifest: unknown = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    return typeof manifest === 'object' && manifest !== null ? manifest : undefined
  } catch {
    return undefined
  }
}

/** The package.json of an app: the nearest one above `root`. */
export function appManifest(root: string): PackageManifest | undefined {
  for (let at = root; ; at = dirname(at)) {
    const manifest = readManifest(at)
    if (manifest || at === dirname(at)) return manifest
  }
}

/** The files that a subpath of a package may mean to Node.js: for import and for require(), which often differ. */
export function entryFiles({ folder, manifest }: PackageFolder, subpath: string): readonly string[] {
  const { exports, main, module } = manifest
  const targets =
    exports === undefined
      ? legacyTargets(subpath, [main, module])
      : ['import', 'require'].flatMap((condition) => exported(exports, subpath, condition) ?? [])
  const files = targets.flatMap((target) => sourceFile(resolve(folder, target)) ?? [])
  return [...new Set(files)]
}

function legacyTargets(subpath: string, mains: readonly unknown[]): string[] {
  if (subpath !== '.') return [subpath]
  const named = mains.filter((main) => typeof main === 'string')
  return named.length > 0 ? named : ['./index.js']
}

function exported(exports: unknown, subpath: string, condition: string): string | undefined {
  const isMap = typeof exports === 'object' && exports !== null && Object.keys(exports).some((key) => key[0] === '.')
  if (!isMap) return subpath === '.' ? targetOf(exports, condition) : undefined
  const map = exports as Readonly<Record<string, unknown>>
  if (Object.hasOwn(map, subpath)) return targetOf(map[subpath], condition)
  for (const [key, target] of Object.entries(map)) {
    const [before = '', after = ''] = key.split('*')
    if (!key.includes('*') || !subpath.startsWith(before) || !subpath.endsWith(after)) continue
    const text = subpath.slice(before.length, subpath.length - after.length)
    return targetOf(target, condition)?.replaceAll('*', text)
  }
  return undefined
}

// Node.js takes the first condition that holds.
function targetOf(target: unknown, condition: string): string | undefined {
  if (typeof target === 'string') return target
  if (typeof target !== 'object' || target === null) return undefined
  for (const [key, inner] of Object.entries(target)) {
    if (!Array.isArray(target) && ![condition, 'node', 'default', 'module-sync'].includes(key)) continue
    const found = targetOf(inner, condition)
    if (found !== undefined) return found
  }
  return undefined
}

/** The file that a path without an extension may mean; undefined if there is none. */
export function sourceFile(path: string): string | undefined {
  const candidates = [path, ...extensions.map((extension) => path + extension), join(path, 'index.js')]
  return candidates.find((file) => statSync(file, { throwIfNoEntry: false })?.isFile())
}

const extensions = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.tsx', '.jsx']

import { type Dirent, readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { isBuiltin } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { parseRequest } from '../options/query.ts'
import {
  appManifest,
  entryFiles,
  findPackage,
  type PackageFolder,
  sourceFile,
  splitSpecifier,
} from './package-files.ts'
import { modelSpecifiers } from './specifiers.ts'

/** A package whose own code imports a model: Node.js cannot load it, only a bundler with this plugin. */
export interface ModelPackage {
  /** The packages from the one that the app imports to the one that imports the model. */
  readonly chain: readonly string[]
  /** Text of the model's import. */
  readonly specifier: string
  /** The file with that import, inside its package. */
  readonly file: string
}

/**
 * Of the packages that these specifiers mean to code in `root`, those whose code imports a model, themselves or through
 * other packages. Nothing is read but package.json files and names, unless a package has to do with models.
 */
export async function modelPackages(specifiers: Iterable<string>, root: string): Promise<readonly ModelPackage[]> {
  const graph: PackageGraph = { packages: new Map(), owners: new Set(), suspects: new Set() }
  const starts: Start[] = []
  for (const specifier of new Set(specifiers)) {
    const bare = isBuiltin(specifier) ? undefined : splitSpecifier(specifier)
    const found = bare && findPackage(bare.name, root)
    if (bare && found && !own.has(bare.name)) starts.push({ found, subpath: bare.subpath })
  }
  for (const { found } of starts) addPackage(graph, found)
  if (graph.suspects.size === 0) return []
  const results: ModelPackage[] = []
  for (const { found, subpath } of starts) {
    const result = await importOfModel(graph, found, subpath)
    if (result) results.push(result)
  }
  return results
}

/** The packages that an app names in its package.json, which is the nearest one above `root`. */
export function neededPackages(root: string): readonly string[] {
  const manifest = appManifest(root)
  return Object.keys({ ...manifest?.dependencies, ...manifest?.devDependencies, ...manifest?.optionalDependencies })
}

// Their code names models only in comments.
const own: ReadonlySet<string> = new Set(['unplugin-onnx', '@unplugin-onnx/runtime', 'onnxruntime-node'])

interface Start {
  readonly found: PackageFolder
  readonly subpath: string
}

/** The installed packages below some others, by folder. */
interface PackageGraph {
  readonly packages: Map<string, { readonly own: PackageFolder; readonly needs: readonly PackageFolder[] }>
  /** Folders of packages that have a model. */
  readonly owners: Set<string>
  /** Folders of packages that may import a model: they have one, name this plugin, or need a package that has one. */
  readonly suspects: Set<string>
}

function addPackage(graph: PackageGraph, found: PackageFolder): void {
  const queue = [found]
  for (const next of queue) {
    const { folder, manifest } = next
    if (graph.packages.has(folder)) continue
    const { dependencies, optionalDependencies, peerDependencies } = manifest
    const names = Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })
    const needs = names.flatMap((name) => (own.has(name) ? [] : (findPackage(name, folder) ?? [])))
    graph.packages.set(folder, { own: next, needs })
    queue.push(...needs)
    if (hasModel(folder, 4)) graph.owners.add(folder)
    if (
      graph.owners.has(folder) ||
      'unplugin-onnx' in { ...manifest.devDependencies, ...dependencies, ...peerDependencies }
    )
      graph.suspects.add(folder)
  }
  for (const [folder, { needs }] of graph.packages)
    if (needs.some((need) => graph.owners.has(need.folder))) graph.suspects.add(folder)
}

// Synchronous: a build waits for it, and many small calls take half the time this way.
function hasModel(folder: string, depth: number): boolean {
  const entries = readFolder(folder)
  if (entries.some(({ name }) => name.endsWith('.onnx'))) return true
  if (depth === 0) return false
  return entries.some(
    (entry) =>
      entry.isDirectory() &&
      entry.name !== 'node_modules' &&
      !entry.name.startsWith('.') &&
      hasModel(join(folder, entry.name), depth - 1),
  )
}

function readFolder(folder: string): readonly Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch {
    return []
  }
}

/** Follows the imports from the entry of a package, through the packages that lead to one that may import a model. */
async function importOfModel(
  graph: PackageGraph,
  found: PackageFolder,
  subpath: string,
): Promise<ModelPackage | undefined> {
  const leads = leadingTo(graph)
  const seen = new Set<string>()
  const queue = [{ found, chain: [found.name], files: entryFiles(found, subpath) }]
  for (const { found, chain, files } of queue) {
    if (!leads.has(found.folder)) continue
    const pending = [...files]
    for (const file of pending) {
      if (seen.has(file)) continue
      seen.add(file)
      const source = await readFile(file, 'utf8').catch(() => '')
      const specifier = graph.suspects.has(found.folder) ? await firstModel(file, source) : undefined
      if (specifier !== undefined) return { chain, specifier, file: relative(found.folder, file) }
      for (const text of importedTexts(source)) {
        const inner = text.startsWith('.') ? sourceFile(resolve(dirname(file), text)) : undefined
        if (inner) pending.push(inner)
        const bare = isBuiltin(text) ? undefined : splitSpecifier(text)
        const next = bare && findPackage(bare.name, dirname(file))
        if (next) queue.push({ found: next, chain: [...chain, next.name], files: entryFiles(next, bare.subpath) })
      }
    }
  }
  return undefined
}

/** The folders of suspects, and of all packages that need one, by however many steps. */
function leadingTo({ packages, suspects }: PackageGraph): ReadonlySet<string> {
  const leading = new Set(suspects)
  for (let size = -1; size !== leading.size;) {
    size = leading.size
    for (const [folder, { needs }] of packages) if (needs.some((need) => leading.has(need.folder))) leading.add(folder)
  }
  return leading
}

// The parser tells imports from comments. Where it is not installed, the text has to do.
async function firstModel(file: string, source: string): Promise<string | undefined> {
  const likely = importedTexts(source).find(isModelImport)
  if (likely === undefined) return undefined
  const parsed = await modelSpecifiers(file, source).catch(() => undefined)
  return parsed ? parsed.specifiers.find(({ text }) => isModelImport(text))?.text : likely
}

function isModelImport(text: string): boolean {
  try {
    return parseRequest(text) !== undefined
  } catch {
    // Its query is wrong, which the plugin will say.
    return true
  }
}

/** What a source or an output imports, as far as its text shows. */
export function importedTexts(source: string): readonly string[] {
  return Array.from(
    source.matchAll(/(?:\bfrom|\bimport|\brequire)\s*\(?\s*(["'`])([^"'`\n]+)\1/g),
    (match) => match[2] ?? '',
  )
}

import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, realpath, rm, rmdir } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import * as v from 'valibot'
import { OnnxEngineError } from '../runtime/errors.ts'
import { acquireLock } from './cache/lock.ts'
import { replaceFile } from './cache/replace-file.ts'
import { declarations, header, type TypedImport } from './emit/declarations.ts'
import { fixBindings } from './onnx/fix.ts'
import { readModel } from './onnx/model.ts'
import { checkShapes } from './options.ts'
import { recordOf } from './schema.ts'
import type { Bindings } from '../runtime/manifest.ts'
import type { Shapes } from './options.ts'

/** One import of a model that was found in the sources or seen by a bundler. Paths are absolute. */
export interface ModelImport {
  /** The file that holds the import. */
  readonly importer: string
  /** The text of the import, its query included. */
  readonly specifier: string
  /** The model file. */
  readonly file: string
  /** Dims that the options or the query fix, by input name: they are static in the types. */
  readonly shapes?: Shapes
}

export interface TypesFolder {
  /** The folder of tsconfig.json, absolute. */
  readonly root: string
  /** The generated folder, absolute or relative to the root. */
  readonly dir?: string
}

/** What was done; paths are relative to the generated folder. */
export interface TypesReport {
  readonly written: readonly string[]
  readonly removed: readonly string[]
  /** Models that have no types because they cannot be read, and a folder that cannot be written (TYPES_FAILED). */
  readonly problems: readonly OnnxEngineError[]
  readonly notes: readonly string[]
}

/**
 * Makes the generated folder hold the types of exactly these imports. A file whose text is right already is not touched, and
 * generated files of other imports are removed. Never rejects because of a model or a folder: see `problems`.
 */
export async function writeTypes({ imports, ...folder }: TypesFolder & { readonly imports: readonly ModelImport[] }): Promise<TypesReport> {
  return update(folder, () => imports)
}

/**
 * Adds an import that a bundler resolved. A build sees only a part of an app, so it never takes away the types of another part:
 * those stay until `writeTypes` or until their importer or model is gone. Calls that come together share one write; importers that
 * TypeScript never reads (virtual modules, packages) are passed over. Problems of models are left to their compilation.
 */
export async function recordImport(folder: TypesFolder, item: ModelImport): Promise<TypesReport> {
  const importer = item.importer.split('?', 1)[0] ?? ''
  if (!isAbsolute(importer) || importer.split(/[\\/]/).includes('node_modules')) return { written: [], removed: [], problems: [], notes: [] }
  const { imports, report } = batchOf(folder)
  imports.push({ ...item, importer })
  return report
}

interface Batch {
  readonly imports: ModelImport[]
  readonly report: Promise<TypesReport>
}

const defaultDir = '.unplugin-onnx'
const indexFile = 'imports.json'
const waiting = new Map<string, Batch>()
const running = new Map<string, Promise<unknown>>()

const indexSchema = v.object({
  version: v.literal(1),
  imports: v.array(v.object({ importer: v.string(), specifier: v.string(), file: v.string(), shapes: v.optional(recordOf(v.array(v.number()))) })),
})

function batchOf(folder: TypesFolder): Batch {
  const out = outOf(folder)
  const open = waiting.get(out)
  if (open !== undefined) return open
  const imports: ModelImport[] = []
  const report = Promise.resolve(running.get(out)).then(async () => {
    // Bundlers resolve the imports of several modules in one turn.
    await new Promise((done) => setImmediate(done))
    waiting.delete(out)
    const done = await update(folder, (known) => union(known, imports))
    return { ...done, problems: done.problems.filter(({ code }) => code === 'TYPES_FAILED') }
  })
  running.set(out, report.catch(() => {}))
  waiting.set(out, { imports, report })
  return { imports, report }
}

function union(known: readonly ModelImport[], seen: readonly ModelImport[]): readonly ModelImport[] {
  const alive = known.filter(({ importer, file }) => existsSync(importer) && existsSync(file))
  return [...new Map([...alive, ...seen].map((item) => [JSON.stringify([item.importer, item.specifier]), item])).values()]
}

type NextImports = (known: readonly ModelImport[]) => readonly ModelImport[]

async function update(folder: TypesFolder, next: NextImports): Promise<TypesReport> {
  const out = outOf(folder)
  const models = new Map<string, Promise<Bindings | OnnxEngineError>>()
  try {
    const first = await planFiles(folder, next, models)
    if (first.writes.size === 0 && first.removals.length === 0) return reportOf(first)
    await mkdir(out, { recursive: true })
    const lock = await acquireLock(join(out, `${indexFile}.lock`))
    try {
      // Another process may have written since.
      const plan = await planFiles(folder, next, models)
      for (const [file, text] of plan.writes) await replaceFile(join(out, file), text)
      for (const file of plan.removals) await remove(out, file)
      return reportOf(plan)
    } finally {
      await lock.release()
    }
  } catch (cause) {
    const failed = new OnnxEngineError('TYPES_FAILED', `type declarations in ${out}`, {
      expected: 'a folder that can be written',
      received: cause instanceof Error ? cause.message : String(cause),
      hint: "Choose another folder by the option 'types.dir', or set the option 'types' to false",
      cause,
    })
    return { written: [], removed: [], problems: [failed], notes: [] }
  }
}

interface Plan extends Pick<TypesReport, 'problems' | 'notes'> {
  readonly writes: ReadonlyMap<string, string>
  readonly removals: readonly string[]
}

async function planFiles(folder: TypesFolder, next: NextImports, models: Map<string, Promise<Bindings | OnnxEngineError>>): Promise<Plan> {
  const out = outOf(folder)
  const root = await realpath(folder.root)
  const imports = next(await readIndex(out, root))
  const typed: TypedImport[] = []
  const problems = new Set<OnnxEngineError>()
  for (const item of imports) {
    const bindings = await memo(models, item.file, () => readBindings(item.file))
    const fixed = bindings instanceof OnnxEngineError ? bindings : withShapes(bindings, item)
    if (fixed instanceof OnnxEngineError) problems.add(fixed)
    else typed.push({ ...await fromRoot(item, folder.root, root), bindings: fixed })
  }
  const { files, notes } = declarations(typed, { windows: process.platform === 'win32' })
  const wanted = imports.length > 0 ? new Map([...files, [indexFile, await indexText(imports, folder.root, root)]]) : files
  const writes = new Map<string, string>()
  for (const [file, text] of wanted) {
    if (await textOf(join(out, file)) !== text) writes.set(file, text)
  }
  const removals: string[] = []
  for (const file of await generatedFiles(out)) if (!wanted.has(file)) removals.push(file)
  return { writes, removals, problems: [...problems], notes }
}

function reportOf({ writes, removals, problems, notes }: Plan): TypesReport {
  return { written: [...writes.keys()], removed: removals, problems, notes }
}

async function readBindings(file: string): Promise<Bindings | OnnxEngineError> {
  try {
    return (await readModel(file)).bindings
  } catch (error) {
    return ours(error)
  }
}

function withShapes(bindings: Bindings, { file, shapes = {} }: ModelImport): Bindings | OnnxEngineError {
  try {
    checkShapes({ shapes, profiles: [] }, bindings, basename(file))
    return fixBindings(bindings, shapes)
  } catch (error) {
    return ours(error)
  }
}

function ours(error: unknown): OnnxEngineError {
  if (error instanceof OnnxEngineError) return error
  throw error
}

async function readIndex(out: string, root: string): Promise<readonly ModelImport[]> {
  try {
    const { imports } = v.parse(indexSchema, JSON.parse(await readFile(join(out, indexFile), 'utf8')))
    return imports.map(({ importer, file, ...item }) => ({ ...item, importer: resolve(root, importer), file: resolve(root, file) }))
  } catch {
    // Absent, or of another version: the next builds see every import again.
    return []
  }
}

async function indexText(imports: readonly ModelImport[], root: string, realRoot: string): Promise<string> {
  const rows = await Promise.all(imports.map(async (item) => {
    const { importer, specifier, file } = await fromRoot(item, root, realRoot)
    return JSON.stringify({ importer, specifier, file, ...(Object.keys(item.shapes ?? {}).length > 0 && { shapes: item.shapes }) })
  }))
  return `{ "version": 1, "imports": [\n${[...new Set(rows)].sort().join(',\n')}\n] }\n`
}

// Bundlers give real paths even where the root is written through a link, such as a temporary folder on macOS.
async function fromRoot({ importer, specifier, file }: ModelImport, root: string, realRoot: string): Promise<Omit<TypedImport, 'bindings'>> {
  const short = async (path: string) => {
    const direct = slashes(relative(root, path))
    if (!isOutside(direct)) return direct
    const real = slashes(relative(realRoot, await realpath(path).catch(() => path)))
    return isOutside(real) ? slashes(relative(realRoot, path)) : real
  }
  return { importer: await short(importer), specifier, file: await short(file) }
}

async function generatedFiles(out: string): Promise<readonly string[]> {
  const entries = await readdir(out, { recursive: true }).catch(() => [])
  const declared = entries.filter((file) => file.endsWith('.ts'))
  const marked = await Promise.all(declared.map(async (file) => (await textOf(join(out, file)))?.startsWith(header) ?? false))
  return [...declared.filter((_, index) => marked[index]), ...entries.filter((file) => file === indexFile)].map(slashes)
}

async function remove(out: string, file: string): Promise<void> {
  await rm(join(out, file), { force: true })
  try {
    for (let folder = dirname(file); folder !== '.'; folder = dirname(folder)) await rmdir(join(out, folder))
  } catch {
    // Not empty.
  }
}

async function textOf(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch(() => undefined)
}

function memo<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const value = map.get(key) ?? make()
  map.set(key, value)
  return value
}

function outOf({ root, dir = defaultDir }: TypesFolder): string {
  return resolve(root, dir)
}

function isOutside(path: string): boolean {
  return path.startsWith('..') || isAbsolute(path)
}

function slashes(path: string): string {
  return sep === '/' ? path : path.replaceAll(sep, '/')
}

import { existsSync } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { isAbsolute, resolve, basename, relative, sep } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Bindings } from '../../runtime/manifest.ts'
import type { ModelImport } from '../imports/model-import.ts'
import type { Model } from '../onnx/model.ts'
import { checkShapes } from '../options/check-shapes.ts'
import { engineBindings } from '../options/engine-bindings.ts'
import { selectBindings } from '../options/select-bindings.ts'
import type { TypedImport } from './declarations.ts'
import { type FolderReport, compareFolder, updateFolder } from './folder.ts'

export interface TypesFolder {
  /** The folder of tsconfig.json, absolute. */
  readonly root: string
  /** The generated folder, absolute or relative to the root. Default: '.unplugin-onnx'. */
  readonly dir?: string
}

export interface TypesReport extends FolderReport {
  /** Models that have no types because they cannot be read, and a folder that cannot be written (TYPES_FAILED). */
  readonly problems: readonly OnnxEngineError[]
}

/**
 * Writes the types of exactly these imports. A file with the right text is not touched, and generated files of other
 * imports are removed. Never rejects because of a model or a folder: see `problems`.
 */
export async function writeTypes({
  imports,
  ...folder
}: TypesFolder & { readonly imports: readonly ModelImport[] }): Promise<TypesReport> {
  const { typed, problems } = await readTypes(folder, imports)
  const report = await update(folder, () => typed)
  return { ...report, problems: [...problems, ...report.problems] }
}

/** What `writeTypes` would write and remove now; writes nothing. */
export async function compareTypes({
  imports,
  ...folder
}: TypesFolder & { readonly imports: readonly ModelImport[] }): Promise<TypesReport> {
  const { typed, problems } = await readTypes(folder, imports)
  return { ...(await compareFolder(outOf(folder), () => typed)), problems }
}

/**
 * Adds the types of an import that a bundler resolved. A build sees only a part of an app, so it keeps the types of
 * other parts: they stay until `writeTypes` removes them, or until their importer or model no longer exists. Calls in
 * the same turn share one write. Importers that TypeScript never reads (virtual modules, packages) are skipped.
 * Problems of models are not reported here: the compilation reports them.
 */
export async function recordImport(folder: TypesFolder, item: ModelImport): Promise<TypesReport> {
  const importer = item.importer.split('?', 1)[0] ?? ''
  if (!isAbsolute(importer) || importer.split(/[\\/]/).includes('node_modules'))
    return { written: [], removed: [], notes: [], problems: [] }
  const { imports, report } = batchOf(folder)
  imports.push({ ...item, importer })
  return report
}

interface Batch {
  readonly imports: ModelImport[]
  readonly report: Promise<TypesReport>
}

const waiting = new Map<string, Batch>()

const running = new Map<string, Promise<unknown>>()

function batchOf(folder: TypesFolder): Batch {
  const out = outOf(folder)
  const pending = waiting.get(out)
  if (pending !== undefined) return pending
  const imports: ModelImport[] = []
  const report = Promise.resolve(running.get(out)).then(async () => {
    // Bundlers resolve the imports of several modules in one turn.
    await new Promise((done) => setImmediate(done))
    waiting.delete(out)
    const { typed } = await readTypes(folder, imports)
    return update(folder, (known) => union(folder.root, known, typed))
  })
  running.set(
    out,
    report.catch(() => {}),
  )
  waiting.set(out, { imports, report })
  return { imports, report }
}

function union(root: string, known: readonly TypedImport[], seen: readonly TypedImport[]): readonly TypedImport[] {
  const alive = known.filter(
    ({ importer, file }) => existsSync(resolve(root, importer)) && existsSync(resolve(root, file)),
  )
  return [
    ...new Map([...alive, ...seen].map((item) => [JSON.stringify([item.importer, item.specifier]), item])).values(),
  ]
}

async function update(
  folder: TypesFolder,
  next: (known: readonly TypedImport[]) => readonly TypedImport[],
): Promise<TypesReport> {
  const out = outOf(folder)
  try {
    return { ...(await updateFolder(out, next)), problems: [] }
  } catch (cause) {
    const failed = new OnnxEngineError('TYPES_FAILED', `type declarations in ${out}`, {
      expected: 'a folder that can be written',
      received: cause instanceof Error ? cause.message : String(cause),
      hint: "Choose another folder by the option 'types.dir', or set the option 'types' to false",
      cause,
    })
    return { written: [], removed: [], notes: [], problems: [failed] }
  }
}

async function readTypes(
  { root }: TypesFolder,
  imports: readonly ModelImport[],
): Promise<{ readonly typed: readonly TypedImport[]; readonly problems: readonly OnnxEngineError[] }> {
  const realRoot = await realpath(root).catch(() => root)
  const models = new Map<string, Promise<Model>>()
  const pathOf = (path: string) => pathFromRoot(path, root, realRoot)
  const read = async ({ importer, specifier, file, onnx = file, ...given }: ModelImport): Promise<TypedImport> => {
    const bindings = given.bindings ?? (await typedBindings(onnx, given, models))
    return { importer: await pathOf(importer), specifier, file: await pathOf(file), bindings }
  }
  const all = await Promise.all(
    imports.map((item) =>
      read(item).catch((error: unknown) => {
        if (!(error instanceof OnnxEngineError)) throw error
        return error
      }),
    ),
  )
  const failed = all.filter((item) => item instanceof OnnxEngineError)
  return {
    typed: all.flatMap((item) => (item instanceof OnnxEngineError ? [] : [item])),
    problems: [...new Map(failed.map((error) => [error.message, error])).values()],
  }
}

async function typedBindings(
  file: string,
  {
    shapes = {},
    io = 'fp32',
    outputs = [],
    optionalInputs = [],
  }: Omit<ModelImport, 'importer' | 'specifier' | 'file' | 'onnx'>,
  models: Map<string, Promise<Model>>,
): Promise<Bindings> {
  const reading = models.get(file) ?? readHeader(file)
  models.set(file, reading)
  const { bindings } = selectBindings(await reading, { outputs, optionalInputs }, basename(file))
  checkShapes({ shapes, profiles: [] }, bindings, basename(file))
  return engineBindings(bindings, { shapes, io })
}

// Bundlers give real paths, even if the root is written with a link, such as a temporary folder on macOS.
async function pathFromRoot(path: string, root: string, realRoot: string): Promise<string> {
  const direct = relative(root, path)
  const inside = isOutside(direct) ? relative(realRoot, await realpath(path).catch(() => path)) : direct
  const short = isOutside(inside) ? direct : inside
  return sep === '/' ? short : short.replaceAll(sep, '/')
}

function outOf({ root, dir = '.unplugin-onnx' }: TypesFolder): string {
  return resolve(root, dir)
}

function isOutside(path: string): boolean {
  return /^\.\.(?:[\\/]|$)/.test(path) || isAbsolute(path)
}

// Loaded when needed: a build usually passes the bindings that it knows.
async function readHeader(file: string): Promise<Model> {
  const { readModel } = await import('../onnx/model.ts')
  return readModel(file)
}

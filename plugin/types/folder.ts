import { readdir, readFile, rm, rmdir } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'
import * as v from 'valibot'
import { dtypes, isBindingDType, type DType, type StoredDType } from '../../runtime/dtype.ts'
import { makeFolder } from '../../runtime/make-folder.ts'
import { replaceFile } from '../files/replace-file.ts'
import { declarations, header, type TypedImport } from './declarations.ts'

/** The changes to the generated folder; paths are relative to it. */
export interface FolderReport {
  readonly written: readonly string[]
  readonly removed: readonly string[]
  /** Imports that cannot be declared, one sentence each. */
  readonly notes: readonly string[]
}

/**
 * Updates the generated folder. `next` receives the imports that have types now, and returns those that shall have
 * types. The folder then has the files of declarations.ts, and `imports.json`, which lists the imports with their
 * bindings for the next update. Writes only files whose text differs, and removes only generated files. Rejects when
 * the folder cannot be written.
 */
export async function updateFolder(
  out: string,
  next: (known: readonly TypedImport[]) => readonly TypedImport[],
): Promise<FolderReport> {
  const first = await planFiles(out, next)
  if (first.writes.size === 0 && first.removals.length === 0) return reportOf(first)
  // Usually nothing is written, and then the build does not wait for this module.
  const { acquireLock } = await import('../files/lock.ts')
  await makeFolder(out)
  const lock = await acquireLock(join(out, `${indexFile}.lock`))
  try {
    // Another process may have written since.
    const plan = await planFiles(out, next)
    for (const [file, text] of plan.writes) await replaceFile(join(out, file), text)
    for (const file of plan.removals) await removeFile(out, file)
    return reportOf(plan)
  } finally {
    await lock.release()
  }
}

/** What `updateFolder` would change now; writes nothing. */
export async function compareFolder(
  out: string,
  next: (known: readonly TypedImport[]) => readonly TypedImport[],
): Promise<FolderReport> {
  return reportOf(await planFiles(out, next))
}

interface Plan {
  readonly writes: ReadonlyMap<string, string>
  readonly removals: readonly string[]
  readonly notes: readonly string[]
}

const indexFile = 'imports.json'

const bindingSchema = v.object({
  name: v.string(),
  dtype: v.custom<DType>(
    (name) => typeof name === 'string' && Object.hasOwn(dtypes, name) && isBindingDType(name as StoredDType),
  ),
  dims: v.nullable(v.array(v.nullable(v.union([v.string(), v.number()])))),
})

const indexSchema: v.GenericSchema<unknown, { readonly version: 1; readonly imports: readonly TypedImport[] }> =
  v.object({
    version: v.literal(1),
    imports: v.array(
      v.object({
        importer: v.string(),
        specifier: v.string(),
        file: v.string(),
        bindings: v.object({ inputs: v.array(bindingSchema), outputs: v.array(bindingSchema) }),
      }),
    ),
  })

async function planFiles(out: string, next: (known: readonly TypedImport[]) => readonly TypedImport[]): Promise<Plan> {
  const imports = next(await readIndex(out))
  const { files, notes } = declarations(imports, { windows: process.platform === 'win32' })
  const wanted = imports.length > 0 ? new Map([...files, [indexFile, indexText(imports)]]) : files
  const [differs, unwanted] = await Promise.all([
    Promise.all(Array.from(wanted, async ([file, text]) => (await textOf(join(out, file))) !== text)),
    generatedFiles(out, (file) => !wanted.has(file)),
  ])
  const writes = new Map([...wanted].filter((_, index) => differs[index]))
  return { writes, removals: [...unwanted].sort(), notes }
}

function reportOf({ writes, removals, notes }: Plan): FolderReport {
  return { written: [...writes.keys()], removed: removals, notes }
}

async function readIndex(out: string): Promise<readonly TypedImport[]> {
  try {
    return v.parse(indexSchema, JSON.parse(await readFile(join(out, indexFile), 'utf8'))).imports
  } catch {
    // Absent, or from another version: the next builds see every import again.
    return []
  }
}

function indexText(imports: readonly TypedImport[]): string {
  const rows = imports.map(({ importer, specifier, file, bindings: { inputs, outputs } }) =>
    JSON.stringify({ importer, specifier, file, bindings: { inputs, outputs } }),
  )
  return `{ "version": 1, "imports": [\n${[...new Set(rows)].sort().join(',\n')}\n] }\n`
}

/** The generated files that `isAsked` names, by their paths with '/'. */
async function generatedFiles(out: string, isAsked: (file: string) => boolean): Promise<readonly string[]> {
  const found = await readdir(out, { recursive: true }).catch(() => [])
  const entries = found.map((file) => (sep === '/' ? file : file.replaceAll(sep, '/'))).filter(isAsked)
  const marked = await Promise.all(
    entries.map(
      async (file) =>
        file === indexFile || (file.endsWith('.ts') && ((await textOf(join(out, file)))?.startsWith(header) ?? false)),
    ),
  )
  return entries.filter((_, index) => marked[index])
}

async function removeFile(out: string, file: string): Promise<void> {
  await rm(join(out, file), { force: true })
  try {
    for (let folder = dirname(file); folder !== '.'; folder = dirname(folder)) await rmdir(join(out, folder))
  } catch {
    // The folder is not empty.
  }
}

async function textOf(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch(() => undefined)
}

/**
 * TypeScript declarations for imported models. sync.ts types all sources of an app at once, for the command; write.ts
 * reads the models and batches the imports of a bundler; folder.ts updates the generated folder; declarations.ts makes
 * the text.
 */
import { stripVTControlCharacters } from 'node:util'
import { findImports } from '../imports/find.ts'
import type { ModelImport } from '../imports/model-import.ts'
import type { ResolvedOptions } from '../options/schema.ts'
import { count } from '../text.ts'
import { type TypesReport, compareTypes, writeTypes } from './write.ts'

/** The imports in the sources, and the files that were changed or, with `check`, are stale. */
export interface TypedSources extends Pick<TypesReport, 'written' | 'removed'> {
  readonly imports: readonly ModelImport[]
  /** The generated folder. */
  readonly dir: string | undefined
}

/**
 * Writes the types of every model that the sources below the root import. With `check`, nothing is written, and
 * `written` and `removed` list the stale files. Throws OPTION_INVALID when the root does not exist.
 */
export async function typeSources(
  options: ResolvedOptions,
  { check = false }: { readonly check?: boolean } = {},
): Promise<TypedSources & TypesReport> {
  const dir = options.types ? options.types.dir : undefined
  const { imports, problems, notes } = await findImports({ options })
  const report = await (check ? compareTypes : writeTypes)({
    root: options.root,
    ...(dir !== undefined && { dir }),
    imports,
  })
  return { ...report, imports, dir, problems: [...problems, ...report.problems], notes: [...notes, ...report.notes] }
}

/** One line for each note and problem, for the terminal. */
export function linesOf({ notes, problems }: Pick<TypesReport, 'notes' | 'problems'>): readonly string[] {
  return [...notes, ...problems.map(({ message }) => message)].map((line) => stripVTControlCharacters(line))
}

/** Text of `unplugin-onnx types` after it has written. */
export function typesReport({ imports, dir, written, removed }: TypedSources): string {
  const changes = `${count(written.length, 'file')} written, ${removed.length} removed`
  return `${count(imports.length, 'import')} of models typed in ${dir}: ${changes}`
}

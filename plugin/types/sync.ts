import { stripVTControlCharacters } from 'node:util'
import { findImports } from '../imports/find.ts'
import type { ModelImport } from '../imports/model-import.ts'
import type { ResolvedOptions } from '../options/schema.ts'
import { count } from '../text.ts'
import { type TypesReport, compareTypes, writeTypes } from './write.ts'

/** What was found in the sources, and what was done about it or, with `check`, is to be done. */
export interface TypedSources extends Pick<TypesReport, 'written' | 'removed'> {
  readonly imports: readonly ModelImport[]
  /** The generated folder. */
  readonly dir: string | undefined
}

/**
 * Types every model that the sources below the root import. With `check`, nothing is touched, and `written` and
 * `removed` tell what is stale. Throws OPTION_INVALID when there is no such root.
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

/** For the terminal: one line for each note and problem. */
export function linesOf({ notes, problems }: Pick<TypesReport, 'notes' | 'problems'>): readonly string[] {
  return [...notes, ...problems.map(({ message }) => message)].map((line) => stripVTControlCharacters(line))
}

/** What `unplugin-onnx types` prints when it has written. */
export function typesReport({ imports, dir, written, removed }: TypedSources): string {
  return `${count(imports.length, 'import')} of models typed in ${dir}: ${count(written.length, 'file')} written, ${removed.length} removed`
}

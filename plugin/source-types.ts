import { stripVTControlCharacters } from 'node:util'
import { findImports } from './imports.ts'
import type { ResolvedOptions } from './options.ts'
import type { Logger } from './project.ts'
import { typesReport } from './report.ts'
import { compareTypes, writeTypes, type ModelImport, type TypesReport } from './types.ts'
import { watchSources } from './watch-sources.ts'

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

/**
 * Keeps the types of all sources up to date until the signal aborts, and says so only when there is something new to
 * say.
 */
export async function watchTypes(options: ResolvedOptions, { log, warn }: Logger, signal?: AbortSignal): Promise<void> {
  let said = ''
  let first = true
  const complain = (lines: string) => {
    if (lines !== said && lines !== '') warn(lines)
    said = lines
  }
  await watchSources(
    options,
    async () => {
      const found = await typeSources(options)
      const lines = linesOf(found).join('\n')
      if (first || lines !== said || found.written.length + found.removed.length > 0) log(typesReport(found))
      first = false
      complain(lines)
      return found.imports.map(({ file }) => file)
    },
    { failed: (error) => complain(error instanceof Error ? error.message : String(error)), ...(signal && { signal }) },
  )
}

/** For the terminal: one line for each note and problem. */
export function linesOf({ notes, problems }: Pick<TypesReport, 'notes' | 'problems'>): readonly string[] {
  return [...notes, ...problems.map(({ message }) => message)].map((line) => stripVTControlCharacters(line))
}

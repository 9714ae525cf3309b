/**
 * TypeScript declarations for imported models. sync.ts types all sources of an app at once, for the command; write.ts
 * reads the models and batches the imports of a bundler; folder.ts updates the generated folder; declarations.ts makes
 * the text.
 */
import { stripVTControlCharacters } from 'node:util'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { findRule } from '../convert/find-rule.ts'
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
  const { imports: found, problems: unresolved, notes } = await findImports({ options })
  const { imports, problems } = await asOnnx(found, options)
  const report = await (check ? compareTypes : writeTypes)({
    root: options.root,
    ...(dir !== undefined && { dir }),
    imports,
  })
  return {
    ...report,
    imports,
    dir,
    problems: [...unresolved, ...problems, ...report.problems],
    notes: [...notes, ...report.notes],
  }
}

/** The imports whose models can be read, after the programs of the option `convert` have run. */
async function asOnnx(
  found: readonly ModelImport[],
  options: ResolvedOptions,
): Promise<{ readonly imports: readonly ModelImport[]; readonly problems: readonly OnnxEngineError[] }> {
  const { convert: rules, root, cache, frozen } = options
  if (!found.some(({ file }) => findRule(file, rules))) return { imports: found, problems: [] }
  const [{ openStore }, { convert }] = await Promise.all([import('../cache/store.ts'), import('../convert/convert.ts')])
  const store = openStore({ ...cache, frozen, warn: console.warn })
  const imports: ModelImport[] = []
  const problems: OnnxEngineError[] = []
  for (const item of found) {
    try {
      const converted = await convert({ file: item.file, rules, root, store })
      imports.push(converted ? { ...item, onnx: converted.onnx } : item)
    } catch (error) {
      if (!(error instanceof OnnxEngineError)) throw error
      problems.push(error)
    }
  }
  return { imports, problems }
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

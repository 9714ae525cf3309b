import { watchSources } from '../imports/watch.ts'
import type { ResolvedOptions } from '../options/schema.ts'
import type { Logger } from '../project/project.ts'
import { typeSources, linesOf, typesReport } from '../types/sync.ts'

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

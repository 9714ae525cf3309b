import { watchSources } from '../imports/watch.ts'
import type { ResolvedOptions } from '../options/schema.ts'
import type { Logger } from '../project/logger.ts'
import { linesOf, typeSources, typesReport } from '../types/sync.ts'

/**
 * Keeps the types of all sources up to date until the signal aborts. Prints only when something changed: files, or the
 * lines about what is wrong.
 */
export async function watchTypes(
  readOptions: () => ResolvedOptions,
  { log, warn }: Logger,
  signal?: AbortSignal,
): Promise<void> {
  let isFirst = true
  let lastWarning = ''
  const warnIfNew = (text: string) => {
    if (text !== lastWarning && text !== '') warn(text)
    lastWarning = text
  }
  const update = async () => {
    const sources = await typeSources(readOptions())
    const warning = linesOf(sources).join('\n')
    const isChanged = sources.written.length + sources.removed.length > 0
    if (isFirst || isChanged || warning !== lastWarning) log(typesReport(sources))
    isFirst = false
    warnIfNew(warning)
    return sources.imports.map(({ file }) => file)
  }
  const onError = (error: unknown) => warnIfNew(error instanceof Error ? error.message : String(error))
  await watchSources(readOptions(), update, { onError, ...(signal && { signal }) })
}

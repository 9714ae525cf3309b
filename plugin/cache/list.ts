import { listEntries, type Entry } from './entries.ts'
import { touched, type Folder } from './folder.ts'
import { listImportRecords } from './import-records.ts'

export interface StoreEntry extends Entry {
  readonly file: string
  /** When it was used last, in milliseconds since the epoch by the file system's clock. */
  readonly used: number
  /** Imports whose current engine this is; none: a change has superseded it. */
  readonly imports: readonly string[]
}

/** Every engine of the cache, the most recently used first. */
export async function listStore(folder: Folder): Promise<readonly StoreEntry[]> {
  const [entries, imports] = await Promise.all([listEntries(folder), listImportRecords(folder)])
  const listed = entries.map(async (entry) => ({
    ...entry,
    file: folder.content(entry.sha256),
    used: (await touched(folder.used(entry.digest))) || (await touched(folder.content(entry.sha256))),
    imports: imports.filter((record) => record.entry.digest === entry.digest).map(({ importKey }) => importKey),
  }))
  return (await Promise.all(listed)).sort((a, b) => b.used - a.used)
}

import { listEntries, type Entry } from './entries.ts'
import { listFamilies } from './families.ts'
import { touched, type Folder } from './folder.ts'

export interface StoreEntry extends Entry {
  readonly file: string
  /** Milliseconds since the epoch. */
  readonly used: number
  /** Imports whose current engine this is; none: a change has superseded it. */
  readonly families: readonly string[]
}

/** Every engine of the cache, the most recently used first. */
export async function listStore(folder: Folder): Promise<readonly StoreEntry[]> {
  const [entries, families] = await Promise.all([listEntries(folder), listFamilies(folder)])
  const listed = entries.map(async (entry) => ({
    ...entry,
    file: folder.content(entry.sha256),
    used: Math.max(entry.created, await touched(folder.used(entry.digest))),
    families: families.filter((record) => record.entry.digest === entry.digest).map(({ family }) => family),
  }))
  return (await Promise.all(listed)).sort((a, b) => b.used - a.used)
}

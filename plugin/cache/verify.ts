import { hashFile } from '../files/hash.ts'
import { removeEntry } from './entries.ts'
import type { Folder } from './folder.ts'
import { removeDamagedRecords } from './import-records.ts'
import { listStore, type StoreEntry } from './list.ts'
import { repairStatIndex } from './stat-index.ts'

/** What `verify` found. */
export interface Verified {
  readonly checked: number
  readonly damaged: readonly StoreEntry[]
  /** Records of imports and digests of files that were changed since they were written. */
  readonly damagedRecords: number
}

/** Hashes every engine and every record, whatever the stat index says, and removes the damaged ones. */
export async function verifyStore(folder: Folder): Promise<Verified> {
  const records = (await removeDamagedRecords(folder)).length + (await repairStatIndex(folder.statIndex))
  const entries = await listStore(folder)
  const damaged: StoreEntry[] = []
  for (const entry of entries) {
    if ((await hashFile(entry.file).catch(() => undefined)) === entry.sha256) continue
    damaged.push(entry)
    await removeEntry(folder, entry, [])
  }
  return { checked: entries.length, damaged, damagedRecords: records }
}

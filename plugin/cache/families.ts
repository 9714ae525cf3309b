import { createHash } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import * as v from 'valibot'
import { replaceFile } from '../files/replace-file.ts'
import { entrySchema, type Entry } from './entries.ts'
import { listFiles, type Folder } from './folder.ts'

/** The last engine of one import across all changes of its key. */
export interface FamilyRecord {
  readonly family: string
  readonly entry: Entry
  /** What the cache said when this engine became the current one, such as 'miss: weights changed'. */
  readonly reason: string
  /** When that was, in milliseconds since the epoch. */
  readonly at: number
}

export async function readFamily(folder: Folder, family: string): Promise<FamilyRecord | undefined> {
  const record = await readRecord(familyFile(folder, family))
  return record?.family === family ? record : undefined
}

export async function listFamilies(folder: Folder): Promise<readonly FamilyRecord[]> {
  const files = await listFiles(folder.families)
  const records = await Promise.all(files.filter((file) => file.endsWith('.json')).map(readRecord))
  return records.filter((record) => record !== undefined).sort((a, b) => (a.family < b.family ? -1 : 1))
}

export async function writeFamily(folder: Folder, record: FamilyRecord): Promise<void> {
  await replaceFile(familyFile(folder, record.family), JSON.stringify(record))
}

export async function removeFamily(folder: Folder, family: string): Promise<void> {
  await rm(familyFile(folder, family), { force: true })
}

const familySchema = v.object({ family: v.string(), entry: entrySchema, reason: v.string(), at: v.number() })

async function readRecord(file: string): Promise<FamilyRecord | undefined> {
  try {
    const parsed = v.safeParse(familySchema, JSON.parse(await readFile(file, 'utf8')))
    return parsed.success ? parsed.output : undefined
  } catch {
    return undefined
  }
}

function familyFile(folder: Folder, family: string): string {
  return folder.family(createHash('sha256').update(family).digest('hex').slice(0, 32))
}

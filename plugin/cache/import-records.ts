import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { basename, relative } from 'node:path'
import * as v from 'valibot'
import { replaceFile } from '../files/replace-file.ts'
import { entrySchema, type Entry } from './entries.ts'
import { listFiles, type Folder } from './folder.ts'
import { readJson, seal, unseal } from './sealed.ts'

/**
 * The name of one import over time, whatever changes in its cache key: the model's path relative to the root, then what
 * distinguishes its engines, such as the query, the backend and the label.
 */
export function importKeyOf(root: string, file: string, ...parts: readonly string[]): string {
  return [relative(root, file).replaceAll('\\', '/'), ...parts].join(' ')
}

/** The last engine of one import. */
export interface ImportRecord {
  readonly importKey: string
  readonly entry: Entry
  /** What the cache said when this engine became the current one, such as 'miss: weights changed'. */
  readonly reason: string
  /** When that was, in milliseconds since the epoch. */
  readonly at: number
}

export async function readImportRecord(folder: Folder, importKey: string): Promise<ImportRecord | undefined> {
  const record = await readRecord(recordFile(folder, importKey))
  return record?.importKey === importKey ? record : undefined
}

export async function listImportRecords(folder: Folder): Promise<readonly ImportRecord[]> {
  const files = await listFiles(folder.imports)
  const records = await Promise.all(files.filter(isRecord).map(readRecord))
  return records.filter((record) => record !== undefined).sort((a, b) => (a.importKey < b.importKey ? -1 : 1))
}

export async function writeImportRecord(folder: Folder, record: ImportRecord): Promise<void> {
  await replaceFile(recordFile(folder, record.importKey), JSON.stringify(seal(record)))
}

export async function removeImportRecord(folder: Folder, importKey: string): Promise<void> {
  await rm(recordFile(folder, importKey), { force: true })
}

const recordSchema = v.object({ importKey: v.string(), entry: entrySchema, reason: v.string(), at: v.number() })

async function readRecord(file: string): Promise<ImportRecord | undefined> {
  return unseal(await readJson(file), recordSchema)
}

/** Removes records that were changed since they were written, and returns their paths. */
export async function removeDamagedRecords(folder: Folder): Promise<readonly string[]> {
  const damaged: string[] = []
  for (const file of (await listFiles(folder.imports)).filter(isRecord)) {
    const record = await readRecord(file)
    if (record && recordFile(folder, record.importKey) === file) continue
    damaged.push(file)
    await rm(file, { recursive: true, force: true })
  }
  return damaged
}

function isRecord(file: string): boolean {
  return /^[0-9a-f]{32}\.json$/.test(basename(file))
}

function recordFile(folder: Folder, importKey: string): string {
  return folder.importRecord(createHash('sha256').update(importKey).digest('hex').slice(0, 32))
}

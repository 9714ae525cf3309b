import { rm } from 'node:fs/promises'
import { basename } from 'node:path'
import * as v from 'valibot'
import { replaceFile } from '../files/replace-file.ts'
import { listFiles, type Folder } from './folder.ts'
import type { Json } from './key.ts'
import { readJson, seal, unseal } from './sealed.ts'

/** Characters of the longest record: one that is larger is no summary. */
const longest = 64_000

const schema: v.GenericSchema<unknown, Json> = v.custom<Json>(() => true)

/**
 * Keeps what a tool measured of an engine, instead of what it measured before. One record for each engine: it goes when
 * the engine goes.
 */
export async function writeMeasurement(folder: Folder, digest: string, value: Json): Promise<void> {
  const text = JSON.stringify(seal(value))
  if (text.length > longest) throw new RangeError(`a measurement has ${text.length} characters`)
  await replaceFile(folder.measurement(digest), text)
}

/** What was measured of an engine last; undefined when nothing was, or the record is damaged. */
export async function readMeasurement(folder: Folder, digest: string): Promise<Json | undefined> {
  return unseal(await readJson(folder.measurement(digest)), schema)
}

/** Removes the records of engines that are not there any more. */
export async function forgetMeasurements(folder: Folder, kept: ReadonlySet<string>): Promise<void> {
  for (const file of await listFiles(folder.measurements)) {
    const digest = /^([0-9a-f]{64})\.json$/.exec(basename(file))?.[1]
    if (digest !== undefined && !kept.has(digest)) await rm(file, { force: true })
  }
}

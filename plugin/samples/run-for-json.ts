import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Json } from '../cache/key.ts'
import type { ChildJob } from '../child/contract.ts'
import { type ChildOptions, runChild } from '../child/run.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'

/**
 * Runs a task in a child process and returns the JSON that it writes.
 *
 * @throws OnnxEngineError COMPILE_FAILED, COMPILE_ABORTED, and what the task throws
 */
export async function runForJson(worker: URL, job: Omit<ChildJob, 'output'>, options: ChildOptions): Promise<Json> {
  await using folder = await temporaryFolder()
  const output = join(folder.path, 'result.json')
  await runChild(worker, { ...job, output }, options)
  return JSON.parse(await readFile(output, 'utf8')) as Json
}

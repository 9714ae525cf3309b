import { dirname } from 'node:path'
import { textOf } from '../../runtime/errors.ts'
import { makeFolder } from '../../runtime/make-folder.ts'
import type { BuildEvent } from '../compile/events.ts'
import { replaceFile } from '../files/replace-file.ts'
import { eventLines } from './build-summary.ts'
import type { Logger } from './logger.ts'

/** Writes the events of a build, whole or not at all. A file that cannot be written is a warning. */
export async function writeEvents(
  file: string,
  events: readonly BuildEvent[],
  root: string,
  logger: Logger,
): Promise<void> {
  try {
    await makeFolder(dirname(file))
    await replaceFile(file, eventLines(events, root))
  } catch (error) {
    logger.warn(`option 'events': ${file} cannot be written: ${textOf(error)}`)
  }
}

import { relative } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'

/**
 * Bundlers print the message, not all of them with the importer, and then the stacks of the error and its causes, which
 * lead only into this plugin: for what a user can mend, the message is all there is to know.
 */
export function atImporter(error: unknown, importer: string | undefined, root: string): unknown {
  if (!(error instanceof OnnxEngineError)) return error
  const { code, message, expected, received, hint } = error
  const place = importer === undefined ? undefined : relative(root, importer.split('?', 1)[0] ?? '')
  const text = place === undefined || message.includes(place) ? message : `${message}\n  imported by ${place}`
  const placed = Object.assign(new OnnxEngineError(code, text), { expected, received, hint })
  placed.stack = `${placed.name}: ${text}`
  return placed
}

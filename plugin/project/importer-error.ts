import { relative } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'

/**
 * The error with the importing file in its message. Bundlers print the message, some of them without the importer, and
 * then the stacks of the error and its causes, which lead only into this plugin: an error of ours that the user can fix
 * has no stack. Other errors are returned as they are.
 */
export function atImporter(error: unknown, importer: string | undefined, root: string): unknown {
  if (!(error instanceof OnnxEngineError)) return error
  const { code, message, expected, received, hint } = error
  const place = importer === undefined ? undefined : relative(root, importer.split('?', 1)[0] ?? '')
  const text = place === undefined || message.includes(place) ? message : `${message}\n  imported by ${place}`
  const withImporter = Object.assign(new OnnxEngineError(code, text), { expected, received, hint })
  withImporter.stack = `${withImporter.name}: ${text}`
  return withImporter
}

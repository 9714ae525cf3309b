import { OnnxEngineError } from '../../runtime/errors.ts'

/**
 * JavaScript code for the URL of a file, from an expression for its path relative to the chunk. Throws
 * UNSUPPORTED_TARGET for a format that Node.js does not load.
 */
export function locate(format: string, path: string): string {
  switch (format) {
    case 'es':
      return `new URL(${path}, import.meta.url)`
    case 'cjs':
      return `require("node:url").pathToFileURL(require("node:path").join(__dirname, ${path}))`
    default:
      throw new OnnxEngineError('UNSUPPORTED_TARGET', 'output format', {
        expected: 'an ES module or CommonJS',
        received: `'${format}'`,
        hint: 'Models run in Node.js, which loads these two formats',
      })
  }
}

/** A relative path as a URL that starts with a dot. */
export function relativeUrl(path: string): string {
  const url = path.split('/').map(encodeURIComponent).join('/')
  return url.startsWith('.') ? url : `./${url}`
}

/** The code for an engine in the module of its model. */
export interface EngineCode {
  /** JavaScript expression for the engine's URL. */
  readonly location: string
  /** Statement that the expression needs at the top of the module. */
  readonly prelude?: string
}

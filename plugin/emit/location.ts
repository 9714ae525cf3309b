import { OnnxEngineError } from '../../runtime/errors.ts'

/** A location from a JavaScript expression for the path from the chunk's own folder. */
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

export function relativeUrl(path: string): string {
  const url = path.split('/').map(encodeURIComponent).join('/')
  return url.startsWith('.') ? url : `./${url}`
}

/** What stands for an engine in the module of its model. */
export interface EngineCode {
  /** JavaScript expression for the engine's URL. */
  readonly location: string
  /** Statement that the expression needs at the top of the module. */
  readonly prelude?: string
}

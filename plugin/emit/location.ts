import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Side } from '../options/build-target.ts'

/**
 * JavaScript code for the URL of a file, from an expression for its path relative to the chunk. Throws
 * UNSUPPORTED_TARGET for a format that does not run there.
 */
export function locate(format: string, path: string, side: Side = 'node'): string {
  if (format === 'es') return `new URL(${path}, import.meta.url)`
  if (side === 'browser') return inScript(format, path)
  if (format === 'cjs') return `require("node:url").pathToFileURL(require("node:path").join(__dirname, ${path}))`
  throw unsupportedFormat(format, 'an ES module or CommonJS', 'Models run in Node.js, which loads these two formats')
}

/** The same for a script of a page or of a worker, which is no module and so has no `import.meta.url`. */
function inScript(format: string, path: string): string {
  if (format !== 'iife' && format !== 'umd')
    throw unsupportedFormat(format, 'an ES module, or a script (iife or umd)', 'Pages load these formats')
  const script = `document.currentScript && document.currentScript.src || document.baseURI`
  return `new URL(${path}, typeof document === "undefined" ? location.href : ${script})`
}

/** Code for the URL of a file whose place is a URL already: absolute, or relative to the page. */
export function fromPage(url: string): string {
  return `new URL(${url}, typeof document === "undefined" ? location.href : document.baseURI)`
}

function unsupportedFormat(format: string, expected: string, hint: string): OnnxEngineError {
  return new OnnxEngineError('UNSUPPORTED_TARGET', 'output format', { expected, received: `'${format}'`, hint })
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

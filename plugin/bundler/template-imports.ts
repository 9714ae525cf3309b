import { unbundledImport } from './context.ts'

const templateImport = /\bimport\(\s*`[^`]*\$\{[^`]*\.onnx\?[^`]*`/

/**
 * The hook of Rollup and Rolldown that warns of such an import: they leave it to Node.js, unless another plugin has
 * replaced it before. Vite bundles every model that matches.
 */
export const warnOfTemplates = {
  order: 'post',
  filter: { code: templateImport },
  handler(this: { warn(message: string): void }, code: string): null {
    // Rollup itself has no filter for code.
    warnOfTemplate(code, (line) => this.warn(line))
    return null
  },
} as const

/** Warns of the first import of a model in this code whose name is a template. */
export function warnOfTemplate(code: string, warn: (line: string) => void): void {
  const [text] = templateImport.exec(code) ?? []
  if (text !== undefined) warn(unbundledImport(`${text})`))
}

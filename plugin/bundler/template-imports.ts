import { unbundledImport } from './context.ts'

// Two steps, each linear: one expression for all of it takes cubic time for a long comment with such a beginning.
const templateImport = /\bimport\(\s*`([^`]*)`/g
const mayImportTemplate = /\bimport\(\s*`/

/**
 * The hook of Rollup and Rolldown that warns of such an import: they leave it to Node.js, unless another plugin has
 * replaced it before. Vite bundles every model that matches.
 */
export const warnOfTemplates = {
  order: 'post',
  filter: { code: mayImportTemplate },
  handler(this: { warn(message: string): void }, code: string): null {
    // Rollup itself has no filter for code.
    warnOfTemplate(code, (line) => this.warn(line))
    return null
  },
} as const

/** Warns of the first import of a model in this code whose name is a template. */
export function warnOfTemplate(code: string, warn: (line: string) => void): void {
  for (const [text, specifier = ''] of code.matchAll(templateImport)) {
    const place = specifier.indexOf('${')
    if (place < 0 || !specifier.includes('.onnx?', place)) continue
    warn(unbundledImport(`${text})`))
    return
  }
}

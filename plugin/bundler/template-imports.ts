import { lostQuery } from './context.ts'

const templateImport = /\bimport\(\s*`[^`]*\$\{[^`]*\.onnx\?[^`]*`/

// Vite reads such an import as a glob. Rollup and Rolldown leave it to Node.js, unless another plugin has replaced it
// before.
export const warnOfTemplates = {
  order: 'post',
  filter: { code: templateImport },
  handler(this: { warn(message: string): void }, code: string): null {
    // Rollup itself has no filter for code.
    warnOfTemplate(code, (line) => this.warn(line))
    return null
  },
} as const

// Bun leaves it to Node.js too, and would ask for every module: what it has made is looked at instead.
export function warnOfTemplate(code: string, warn: (line: string) => void): void {
  const [text] = templateImport.exec(code) ?? []
  if (text !== undefined) warn(lostQuery(`${text})`))
}

export interface BunResult {
  readonly outputs?: readonly { readonly path: string; text(): Promise<string> }[]
}

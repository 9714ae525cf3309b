import { literal } from '../emit/module.ts'
import type { NodeImport } from './model-url.ts'
import type { CompiledModule } from './start-record.ts'

/** The JavaScript of a model's module. */
export function moduleSource({ id }: NodeImport, { manifest }: CompiledModule): string {
  const shared = new URL('./shared-model.js', import.meta.url).href
  return [
    `import { sharedModel } from ${JSON.stringify(shared)}`,
    `export default sharedModel(${JSON.stringify(id)}, ${literal(manifest)})`,
    '',
  ].join('\n')
}

/** The JavaScript of a module that throws this error of ours: loaders replace the errors of other threads. */
export function errorSource(record: object): string {
  const errors = new URL('../../runtime/errors.js', import.meta.url).href
  return [
    `import { reviveError } from ${JSON.stringify(errors)}`,
    // An import of it must link before it can throw.
    'export default undefined',
    `throw reviveError(${JSON.stringify(record)})`,
    '',
  ].join('\n')
}

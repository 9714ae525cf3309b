import { jestEntry, jestStub } from './node/jest-stub.ts'
import { filterFor } from './node/model-specifier.ts'

/** What Jest gives to a resolver. */
interface JestResolverOptions {
  readonly basedir: string
  readonly conditions?: readonly string[]
  defaultResolver(path: string, options: JestResolverOptions): string
}

/**
 * The resolver for Jest: an import of a model leads to a module with the model, which is compiled through the cache.
 *
 * @example
 *   ;```js
 *   // jest.config.js
 *   export default { resolver: 'unplugin-onnx/jest' }
 *   ```
 */
export function sync(path: string, options: JestResolverOptions): string {
  // Jest requires ES modules only with a flag, with which it loads this package by itself.
  if (path.startsWith('unplugin-onnx/') && !options.conditions?.includes('import')) return jestEntry(path)
  const stub = filterFor(path) ? jestStub(path, options) : undefined
  return stub ?? options.defaultResolver(path, options)
}

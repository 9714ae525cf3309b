import { OnnxEngineError } from '../../runtime/errors.ts'
import { modelPackages } from '../imports/model-packages.ts'

/**
 * Throws UNSUPPORTED_TARGET if one of these external imports is a package whose own code imports a model: the build
 * would be green, and Node.js would refuse the package when the app starts.
 *
 * @param cure says how to bundle packages of these names with this bundler
 */
export async function checkExternals(
  specifiers: Iterable<string>,
  { root, cure }: { readonly root: string; readonly cure: (names: readonly string[]) => string },
): Promise<void> {
  const found = await modelPackages(specifiers, root)
  const [first] = found
  if (first === undefined) return
  const names = [...new Set(found.flatMap(({ chain }) => chain))]
  const place = `${first.chain.join(' > ')}/${first.file.replaceAll('\\', '/')}`
  throw new OnnxEngineError('UNSUPPORTED_TARGET', `import of '${first.specifier}' in the external package ${place}`, {
    expected: 'a package that is bundled',
    received: 'one that is left to Node.js, which loads no models',
    hint: cure(names),
  })
}

/** Names as code: `'a', 'b'`. */
export function quotedNames(names: readonly string[]): string {
  return names.map((name) => `'${name}'`).join(', ')
}

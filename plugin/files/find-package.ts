import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** The folder of this package. */
export const ownFolder: string = dirname(createRequire(import.meta.url).resolve('unplugin-onnx/package.json'))

/**
 * The folder of a package, as seen from the first of these folders that finds it. Searches folders instead of using the
 * module system: `exports` may hide package.json. The real path shows which packages are next to the package.
 */
export function findPackage(name: string, ...from: readonly string[]): string | undefined {
  const places = from.flatMap((folder) => createRequire(join(folder, 'package.json')).resolve.paths(name) ?? [])
  const found = places.map((place) => join(place, name)).find((folder) => existsSync(join(folder, 'package.json')))
  return found === undefined ? undefined : realpathSync(found)
}

/** The version of the package in a folder. */
export function packageVersion(folder: string): string {
  return (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }).version
}

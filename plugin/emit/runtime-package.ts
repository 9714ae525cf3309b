import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { findPackage, ownFolder, packageVersion } from '../files/find-package.ts'
import { appManifest } from '../imports/package-files.ts'

/** The runtime in a package of its own, without dependencies. */
export const slimRuntime = '@unplugin-onnx/runtime'

/** The package that runs models where an app runs. */
export interface RuntimePackage {
  readonly name: 'unplugin-onnx' | typeof slimRuntime
  readonly folder: string
  /** The specifier of its entry. */
  readonly entry: string
}

/**
 * The package whose runtime the modules of models import: `@unplugin-onnx/runtime` if it is in the `dependencies` of
 * the app, and this package otherwise. Throws BACKEND_UNAVAILABLE when it is not installed, and OPTION_INVALID for
 * another version than that of the plugin.
 */
export function runtimePackage(root: string): RuntimePackage {
  const known = packages.get(root)
  if (known) return known
  const found = dependsOnSlim(root) ? slimPackage(root) : own
  packages.set(root, found)
  return found
}

const own: RuntimePackage = { name: 'unplugin-onnx', folder: ownFolder, entry: 'unplugin-onnx/runtime' }
const packages = new Map<string, RuntimePackage>()

/** The URL of the runtime's entry, for code that is not bundled: it may be in a package that cannot see the app's. */
export function runtimeUrl({ folder, entry }: RuntimePackage): string {
  return pathToFileURL(createRequire(join(folder, 'package.json')).resolve(entry)).href
}

function slimPackage(root: string): RuntimePackage {
  const folder = findPackage(slimRuntime, root)
  const version = packageVersion(ownFolder)
  const hint = `npm install ${slimRuntime}@${version}`
  if (folder === undefined)
    throw new OnnxEngineError('BACKEND_UNAVAILABLE', `package '${slimRuntime}'`, {
      expected: 'an installed package, because the app depends on it',
      received: 'none',
      hint,
    })
  const installed = packageVersion(folder)
  if (installed !== version)
    throw new OnnxEngineError('OPTION_INVALID', `package '${slimRuntime}'`, {
      expected: `version ${version}, that of unplugin-onnx`,
      received: installed,
      hint,
    })
  return { name: slimRuntime, folder, entry: slimRuntime }
}

// Not whether it can be found: in a monorepo, npm puts packages that others need next to those of the app.
function dependsOnSlim(root: string): boolean {
  return slimRuntime in { ...appManifest(root)?.dependencies }
}

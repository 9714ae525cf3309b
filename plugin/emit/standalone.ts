import { existsSync, readFileSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { platformName } from '../../native/platform.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { backendNames, type BackendName } from '../../runtime/manifest.ts'
import { findPackage, ownFolder as own } from '../files/find-package.ts'
import type { ServerScheme } from '../options/served-variant.ts'
import { orOutputFailed } from './output.ts'
import { runtimePackage } from './runtime-package.ts'

/** The files of this package that are needed to run models, and the folders that contain them. */
const runtimeFiles = /^(?:package\.json|dist(?:\/(?:native|runtime(?:\/[\w-]+)?)(?:\/[\w-]+\.c?js)?)?)$/
// Addons are in a package of their own, except in a checkout of this repository.
const runtimeFilesWithAddons = new RegExp(`${runtimeFiles.source}|^native(?:/build(?:/Release(?:/[\\w-]+\\.node)?)?)?$`)
const onnxruntimeFiles = new RegExp(
  `^(?:package\\.json|dist(?:/\\w+\\.js)?|bin(?:/napi-v\\d+(?:/${process.platform}(?:/${process.arch}(?:/.+)?)?)?)?)$`,
)
const onnxruntimeCommonFiles = /^(?:package\.json|dist(?:\/cjs(?:\/(?:[\w-]+\.js|package\.json))?)?)$/

/** The library of a backend, which is not copied, and how to install it. */
const libraries: Readonly<Partial<Record<BackendName, string>>> = {
  openvino: 'OpenVINO, which takes hundreds of megabytes: install it there, as docs/openvino.md shows',
  'tensorrt-rtx': 'the library of TensorRT-RTX and a driver: install them there, as docs/nvidia.md shows',
  tensorrt: 'the library of TensorRT and a driver: install them there, as docs/nvidia.md shows',
}

/**
 * Copies the runtime, and the packages that these backends need on this platform, into `node_modules` of an output
 * folder. Node.js searches there first for the imports of code in the folder, in every format, so the folder can be
 * moved anywhere. Returns what is still needed at run time, one sentence for each backend whose library is not copied.
 *
 * @throws OnnxEngineError BACKEND_UNAVAILABLE when a package is not installed, OUTPUT_FAILED.
 */
export async function copyRuntime(
  output: string,
  root: string,
  backends: ReadonlySet<BackendName | ServerScheme>,
): Promise<readonly string[]> {
  const copy = (name: string, folder: string, files: RegExp) => {
    const filter = (file: string) => file === folder || files.test(relative(folder, file).replaceAll(sep, '/'))
    return orOutputFailed(output, () =>
      cp(folder, join(output, 'node_modules', name), { recursive: true, dereference: true, filter }),
    )
  }
  if (backends.has('onnxruntime') || backends.has('webgpu')) {
    const onnxruntime = folderOf('onnxruntime-node', root, own)
    await copy('onnxruntime-node', onnxruntime, onnxruntimeFiles)
    await copy('onnxruntime-common', folderOf('onnxruntime-common', onnxruntime), onnxruntimeCommonFiles)
  }
  if (backends.has('grpc'))
    for (const [name, folder] of packagesOf(['@grpc/grpc-js', '@grpc/proto-loader'], [root, own]))
      await copy(name, folder, /^(?!.*\.(?:d\.ts|map)$)/)
  const native = backendNames.filter((name) => libraries[name] !== undefined && backends.has(name))
  const addons = `@unplugin-onnx/native-${platformName()}`
  const isOwn = findPackage(addons, root, own) === undefined && existsSync(join(own, 'native', 'build', 'Release'))
  const runtime = runtimePackage(root)
  await copy(runtime.name, runtime.folder, isOwn ? runtimeFilesWithAddons : runtimeFiles)
  // ONNX Runtime runs in a worker where there is no addon; the others need theirs.
  const addonFolder = native.length > 0 && !isOwn ? folderOf(addons, root, own) : findPackage(addons, root, own)
  if (addonFolder !== undefined) await copy(addons, addonFolder, /^/)
  return native.map(
    (name) => `option 'standalone': on the machine that runs the output, engines of ${name} need ${libraries[name]}`,
  )
}

/**
 * Folders of packages and all that they depend on, by name. One inside another package's folder is copied with it; of
 * two packages with one name the first found is taken.
 */
function packagesOf(names: readonly string[], from: readonly string[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  const seen = new Set<string>()
  const visit = (name: string, places: readonly string[]) => {
    const folder = folderOf(name, ...places)
    if (seen.has(folder)) return
    seen.add(folder)
    const isInside = places.some((place) => folder.startsWith(join(place, 'node_modules') + sep) && seen.has(place))
    if (!isInside && !found.has(name)) found.set(name, folder)
    const { dependencies = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      readonly dependencies?: Readonly<Record<string, string>>
    }
    for (const dependency of Object.keys(dependencies)) visit(dependency, [folder])
  }
  for (const name of names) visit(name, from)
  return found
}

function folderOf(name: string, ...from: readonly string[]): string {
  const found = findPackage(name, ...from)
  if (found !== undefined) return found
  throw new OnnxEngineError('BACKEND_UNAVAILABLE', `option 'standalone': package '${name}'`, {
    expected: 'an installed package to copy',
    received: 'none',
    hint: `Install it: npm install ${name}`,
  })
}

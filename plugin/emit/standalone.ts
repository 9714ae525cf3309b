import { existsSync, realpathSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative, sep } from 'node:path'
import { platformName } from '../../native/platform.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { backendNames, type BackendName } from '../../runtime/manifest.ts'
import { writing } from './output.ts'

/** What of a package is needed to run models: its files, and the folders on the way to them. */
const runtimeFiles = /^(?:package\.json|dist(?:\/(?:native|runtime(?:\/[\w-]+)?)(?:\/[\w-]+\.c?js)?)?)$/
// Addons lie in a package of their own, but for those who build this package themselves.
const runtimeFilesWithAddons = new RegExp(`${runtimeFiles.source}|^native(?:/build(?:/Release(?:/[\\w-]+\\.node)?)?)?$`)
const onnxruntimeFiles = new RegExp(
  `^(?:package\\.json|dist(?:/\\w+\\.js)?|bin(?:/napi-v\\d+(?:/${process.platform}(?:/${process.arch}(?:/.+)?)?)?)?)$`,
)
const onnxruntimeCommonFiles = /^(?:package\.json|dist(?:\/cjs(?:\/(?:[\w-]+\.js|package\.json))?)?)$/

/** What engines of a backend need besides the files that are copied. */
const libraries: Readonly<Record<Exclude<BackendName, 'onnxruntime'>, string>> = {
  openvino: 'OpenVINO, which takes hundreds of megabytes: install it there, as docs/openvino.md shows',
  'tensorrt-rtx': 'the library of TensorRT-RTX and a driver: install them there, as docs/nvidia.md shows',
  tensorrt: 'the library of TensorRT and a driver: install them there, as docs/nvidia.md shows',
}

/**
 * Copies the runtime and what these backends need of packages for this platform into `node_modules` of an output
 * folder. That is where Node.js looks first for what the code in the folder imports, in every format: so the folder
 * runs wherever it is moved to. Returns what is still needed there, one sentence for each backend whose library is not
 * copied.
 *
 * @throws OnnxEngineError BACKEND_UNAVAILABLE when a package is not installed, OUTPUT_FAILED.
 */
export async function copyRuntime(
  output: string,
  root: string,
  backends: ReadonlySet<BackendName>,
): Promise<readonly string[]> {
  const own = dirname(createRequire(import.meta.url).resolve('unplugin-onnx/package.json'))
  const copy = (name: string, folder: string, files: RegExp) => {
    const filter = (file: string) => file === folder || files.test(relative(folder, file).replaceAll(sep, '/'))
    return writing(output, () =>
      cp(folder, join(output, 'node_modules', name), { recursive: true, dereference: true, filter }),
    )
  }
  if (backends.has('onnxruntime')) {
    const onnxruntime = folderOf('onnxruntime-node', root, own)
    await copy('onnxruntime-node', onnxruntime, onnxruntimeFiles)
    await copy('onnxruntime-common', folderOf('onnxruntime-common', onnxruntime), onnxruntimeCommonFiles)
  }
  const native = backendNames.filter((name) => name !== 'onnxruntime').filter((name) => backends.has(name))
  const addons = `@unplugin-onnx/native-${platformName()}`
  const isOwn = findFolder(addons, root, own) === undefined && existsSync(join(own, 'native', 'build', 'Release'))
  await copy('unplugin-onnx', own, native.length > 0 && isOwn ? runtimeFilesWithAddons : runtimeFiles)
  if (native.length > 0 && !isOwn) await copy(addons, folderOf(addons, root, own), /^/)
  return native.map(
    (name) => `option 'standalone': engines of ${name} run where the output is taken only beside ${libraries[name]}`,
  )
}

function folderOf(name: string, ...from: readonly string[]): string {
  const found = findFolder(name, ...from)
  if (found !== undefined) return found
  throw new OnnxEngineError('BACKEND_UNAVAILABLE', `option 'standalone': package '${name}'`, {
    expected: 'an installed package to copy',
    received: 'none',
    hint: `Install it: npm install ${name}`,
  })
}

// By folders, not by the module system: `exports` may hide package.json, and a real folder shows what lies beside the
// package.
function findFolder(name: string, ...from: readonly string[]): string | undefined {
  const places = from.flatMap((folder) => createRequire(join(folder, 'package.json')).resolve.paths(name) ?? [])
  const found = places.map((place) => join(place, name)).find((folder) => existsSync(join(folder, 'package.json')))
  return found === undefined ? undefined : realpathSync(found)
}

import { existsSync, realpathSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative, sep } from 'node:path'
import { platformName } from '../native/platform.ts'
import { OnnxEngineError } from '../runtime/errors.ts'

/** What runs models, by package: the files and folders that this platform needs of it. */
const parts: Readonly<Record<string, RegExp>> = {
  'unplugin-onnx': /^(?:package\.json|dist(?:\/(?:runtime|native)(?:\/[\w-]+\.c?js)?)?)$/,
  'onnxruntime-node': new RegExp(`^(?:package\\.json|dist(?:/\\w+\\.js)?|bin(?:/napi-v\\d+(?:/${process.platform}(?:/${process.arch}(?:/.+)?)?)?)?)$`),
  'onnxruntime-common': /^(?:package\.json|dist(?:\/cjs(?:\/(?:[\w-]+\.js|package\.json))?)?)$/,
}

/**
 * Copies the runtime, ONNX Runtime and, where they are installed, the native addons for this platform into `node_modules` of an output
 * folder. That is where Node.js looks first for what the code in the folder imports, in every format: so the folder runs wherever it is
 * moved to.
 *
 * @throws OnnxEngineError BACKEND_UNAVAILABLE when a package is not installed.
 */
export async function copyRuntime(output: string, root: string): Promise<void> {
  const own = dirname(createRequire(import.meta.url).resolve('unplugin-onnx/package.json'))
  const onnxruntime = folderOf('onnxruntime-node', root, own)
  const folders: Readonly<Record<string, string>> = {
    'unplugin-onnx': own,
    'onnxruntime-node': onnxruntime,
    'onnxruntime-common': folderOf('onnxruntime-common', onnxruntime),
  }
  for (const [name, files] of Object.entries(parts)) {
    const folder = folders[name] ?? ''
    const filter = (file: string) => file === folder || files.test(relative(folder, file).replaceAll(sep, '/'))
    await cp(folder, join(output, 'node_modules', name), { recursive: true, dereference: true, filter })
  }
  // OpenVINO and TensorRT run through them; ONNX Runtime alone does without.
  const addons = `@unplugin-onnx/native-${platformName()}`
  const native = findFolder(addons, root, own)
  if (native !== undefined) await cp(native, join(output, 'node_modules', addons), { recursive: true, dereference: true })
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

// By folders, not by the module system: `exports` may hide package.json, and a real folder shows what lies beside the package.
function findFolder(name: string, ...from: readonly string[]): string | undefined {
  const places = from.flatMap((folder) => createRequire(join(folder, 'package.json')).resolve.paths(name) ?? [])
  const found = places.map((place) => join(place, name)).find((folder) => existsSync(join(folder, 'package.json')))
  return found === undefined ? undefined : realpathSync(found)
}

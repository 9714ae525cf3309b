// What compiling and testing the native addons needs besides this repository: pinned headers and libraries, fetched
// from package registries into .vendor/. Only for scripts of the repository: a published package has no native sources.
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { openvinoLibrary, openvinoVersion, openvinoWheels } from '../openvino-wheels.ts'
import { fetchWheel } from '../wheel.ts'
import { unpackZip } from '../zip.ts'
import { fetchOnnxRuntime } from './onnxruntime-vendor.ts'
import { fetchTensorRt } from './tensorrt-vendor.ts'

/** The folder of this package. */
export const root: string = path.dirname(createRequire(import.meta.url).resolve('unplugin-onnx/package.json'))

/**
 * Fetches what is missing in .vendor/: the pinned headers that the addons are compiled with, and the libraries that
 * tests use. The developer's own SDK is used instead where its environment variable is set. Returns definitions for
 * CMake.
 */
export async function fetchVendored(): Promise<Readonly<Record<string, string>>> {
  const openvino = process.env['OPENVINO_ROOT'] || (await fetchOpenVino())
  const vendor = path.join(root, '.vendor')
  const own = process.env['ONNXRUNTIME_HEADERS']
  return {
    OPENVINO_HEADERS: headersIn(openvino),
    // These headers come by Go and by cargo, which a user of OpenVINO alone need not have.
    ...(own ? { ONNXRUNTIME_HEADERS: own } : await optional('ONNX Runtime', () => fetchOnnxRuntime(vendor))),
    // TensorRT has no macOS.
    ...(process.platform !== 'darwin' && (await optional('TensorRT', () => fetchTensorRt(vendor)))),
  }
}

type Definitions = Readonly<Record<string, string>>

async function optional(engine: string, fetch: () => Definitions | Promise<Definitions>): Promise<Definitions> {
  try {
    return await fetch()
  } catch (error) {
    if (process.env['CI'] === 'true') throw error
    console.error(`the addons for ${engine} are not built: ${error instanceof Error ? error.message : String(error)}`)
    return {}
  }
}

async function fetchOpenVino(): Promise<string> {
  const folder = path.join(root, '.vendor', `openvino-${openvinoVersion}`)
  if (existsSync(folder)) return folder
  const wheel = openvinoWheels[`${process.platform}-${process.arch}`]
  if (!wheel)
    throw new Error(
      `OpenVINO has no package for ${process.platform}-${process.arch}: set OPENVINO_ROOT to your own build`,
    )
  const file = await fetchWheel(wheel, { downloads: path.join(root, '.vendor', 'downloads') })
  await unpackZip(file, folder, (entry) => {
    const header = /^openvino\/(include\/openvino\/c\/.*)$/.exec(entry)?.[1]
    const library = openvinoLibrary(entry)
    return header ?? (library === undefined ? undefined : `libs/${library}`)
  })
  return folder
}

// The wheel has the headers in include/, an SDK archive in runtime/include/.
function headersIn(folder: string): string {
  const found = ['include', 'runtime/include']
    .map((part) => path.join(folder, part))
    .find((it) => existsSync(path.join(it, 'openvino/c')))
  if (!found) throw new Error(`${folder} does not contain OpenVINO's headers: include/openvino/c is missing`)
  return found
}

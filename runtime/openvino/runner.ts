// Engines of OpenVINO: blobs that OpenVINO exported for a device when the app was built. They run in OpenVINO's own
// threads, through the native addon: no worker, and nothing on the event loop but copies of the tensors. OpenVINO
// itself comes from the user's machine; library.ts finds it.
import { loadAddon, type OpenVinoAddon } from '../../native/load-addon.ts'
import { orClose } from '../engine-tensors.ts'
import { OnnxEngineError, textOf } from '../errors.ts'
import { missingReason } from '../library.ts'
import type { Binding, Bindings, Requirements, VariantManifest } from '../manifest.ts'
import type { EngineFile, OpenOptions, Runner, Session, SessionOptions } from '../session.ts'
import { modelSubject } from '../text.ts'
import { findOpenVino } from './library.ts'
import { createSession, portsOf } from './session.ts'

/** Runs blobs with OpenVINO. */
export const openvinoRunner: Runner<'openvino'> = { refusal, open }

/**
 * OpenVINO as this machine has it. Its devices are not queried: that loads the plugins of all of them, and takes longer
 * than importing a blob.
 */
interface Installed {
  readonly addon: OpenVinoAddon
  readonly library: string
  readonly version: string
}

let installed: Promise<Installed | { readonly reason: string }> | undefined

async function refusal(
  { arch, version }: Requirements['openvino'],
  _options: SessionOptions,
  readAhead?: () => void,
): Promise<string | undefined> {
  if (arch !== process.arch) return `compiled for ${arch}, this machine is ${process.arch}`
  const found = await currentInstalled(readAhead)
  if ('reason' in found) return found.reason
  if (releaseOf(found.version) === releaseOf(version)) return undefined
  return `compiled by OpenVINO ${releaseOf(version)}, but ${found.library} is ${releaseOf(found.version)}`
}

async function currentInstalled(readAhead?: () => void): Promise<Installed | { readonly reason: string }> {
  const found = await (installed ??= findInstalled(readAhead))
  // The next load looks again: the user may have installed it in the meantime.
  if ('reason' in found) installed = undefined
  return found
}

async function findInstalled(readAhead?: () => void): Promise<Installed | { readonly reason: string }> {
  const found = findOpenVino()
  if ('reason' in found) return { reason: missingReason(found) }
  const loaded = loadAddon('openvino')
  if ('reason' in loaded) return loaded
  const { addon } = loaded
  readAhead?.()
  try {
    return { addon, library: found.file, version: await addon.version(found.file) }
  } catch (error) {
    return { reason: `${found.file} cannot be used: ${textOf(error)}` }
  }
}

// '2026.4.1-22982-e213a147257-releases/2026/4' is release 2026.4.1. OpenVINO itself compares no more than that.
function releaseOf(version: string): string {
  return version.split('-', 1)[0] ?? version
}

async function open(
  variant: VariantManifest<'openvino'>,
  file: EngineFile,
  bindings: Bindings,
  options: OpenOptions,
): Promise<Session> {
  const { requires } = variant
  const subject = modelSubject(options.model)
  const found = await currentInstalled()
  if ('reason' in found) throw new OnnxEngineError('BACKEND_UNAVAILABLE', `${subject}: ${found.reason}`)
  const bytes = await file.read()
  const device = requires.device === 'GPU' && options.device !== undefined ? `GPU.${options.device}` : requires.device
  const properties = {
    ...requires.properties,
    ...(options.threads !== undefined && { INFERENCE_NUM_THREADS: String(options.threads) }),
  }
  const { inputs, outputs } = portsOf(bindings)
  const names = { inputs: namesOf(inputs), outputs: namesOf(outputs) }
  try {
    const engine = await found.addon.load(found.library, new Uint8Array(bytes), { device, properties, ...names })
    return await orClose(engine, () => createSession(engine, bindings, subject))
  } catch (cause) {
    throw new OnnxEngineError('BACKEND_UNAVAILABLE', `${subject}: ${importFailure(textOf(cause), file.path)}`, {
      cause,
    })
  }
}

// OpenVINO compares the machine with the requirements in the blob, and lists both when they differ.
function importFailure(text: string, file: string): string {
  const [, blob, current] = /\bblob:.*isa=(.+)\s+current:.*isa=(.+)/.exec(text) ?? []
  return blob && current
    ? `compiled for machines with ${blob}, but this one has ${current}`
    : `OpenVINO cannot import ${file}: ${text}`
}

function namesOf(bindings: readonly Binding[]): string[] {
  return bindings.map(({ name }) => name)
}

// Engines of TensorRT-RTX and plans of TensorRT, the two flavours of NVIDIA's library. They run on the GPU and in
// threads of the native addon: nothing on the event loop but copies of the tensors. The library comes from the user's
// machine; library.ts finds it, version.ts and gpu.ts decide whether it and the GPU run an engine.
import path from 'node:path'
import { loadAddon, type Gpu, type GpuProbe, type TensorRtAddon } from '../../native/load-addon.ts'
import {
  tensorrtFamilies,
  tensorrtFamily,
  tensorrtVersions,
  type TensorRtFlavour,
} from '../../native/tensorrt-wheels.ts'
import { orClose } from '../engine-tensors.ts'
import { OnnxEngineError, textOf } from '../errors.ts'
import { foreignLibrary } from '../foreign-library.ts'
import { missingReason, setupFolder } from '../library.ts'
import type { Requirements, VariantManifest } from '../manifest.ts'
import type { EngineFile, OpenOptions, Runner, Session } from '../session.ts'
import { modelSubject } from '../text.ts'
import { chooseGpu } from './gpu.ts'
import { headerProblem } from './header.ts'
import { openKernelCache } from './kernel-cache.ts'
import { findTensorRt, tensorrtNames } from './library.ts'
import { createSession, type SessionContext } from './session.ts'
import { isOlder, versionRefusal, type RequiredVersion } from './version.ts'

/** Runs engines of TensorRT-RTX: on the compute capabilities that they were built for, with the same release. */
export const tensorrtRtxRunner: Runner<'tensorrt-rtx'> = {
  async refusal(requires) {
    const found = await installedFor('tensorrt-rtx', requires)
    const chosen = 'reason' in found ? found : chooseGpu('tensorrt-rtx', requires, found.driver)
    return 'reason' in chosen ? chosen.reason : undefined
  },
  open: (variant, engine, ...rest) => open({ flavour: 'tensorrt-rtx', variant, engine }, ...rest),
}

/**
 * Runs plans of TensorRT: on the kind of GPU that they were built on, with the same driver or a newer one, and with the
 * same release, or a later one where the plan allows it.
 */
export const tensorrtRunner: Runner<'tensorrt'> = {
  async refusal(requires) {
    const found = await installedFor('tensorrt', requires)
    if ('reason' in found) return found.reason
    const { driver } = found.driver
    if (driver !== '' && isOlder(driver, requires.driver))
      return `needs the NVIDIA driver ${requires.driver} or newer, this machine has ${driver}`
    const chosen = chooseGpu('tensorrt', requires, found.driver)
    return 'reason' in chosen ? chosen.reason : undefined
  },
  open: (variant, engine, ...rest) => open({ flavour: 'tensorrt', variant, engine }, ...rest),
}

interface Installed {
  readonly addon: TensorRtAddon
  readonly library: string
  readonly plugins: string
  readonly version: string
  readonly driver: GpuProbe
}

const installed = new Map<TensorRtFlavour, Promise<Installed | { readonly reason: string }>>()

async function installedFor(
  flavour: TensorRtFlavour,
  requires: Requirements[TensorRtFlavour],
): Promise<Installed | { readonly reason: string }> {
  const here = `${process.platform} ${process.arch}`
  if (requires.platform !== process.platform || requires.arch !== process.arch)
    return { reason: `compiled for ${requires.platform} ${requires.arch}, this machine is ${here}` }
  const search = installed.get(flavour) ?? findInstalled(flavour)
  installed.set(flavour, search)
  const found = await search
  if ('reason' in found) return found
  const why = versionRefusal(requires, found.version)
  const { product } = tensorrtNames[flavour]
  return why === undefined
    ? found
    : { reason: `compiled by ${product} ${requires.version}, but ${found.library} is ${found.version}, and ${why}` }
}

// The driver first: without one no library helps, and this is the reason on most machines.
async function findInstalled(flavour: TensorRtFlavour): Promise<Installed | { readonly reason: string }> {
  const any = loadAddon(tensorrtFamilies[0].addon)
  if ('reason' in any) return any
  const driver = await any.addon.gpus()
  if (driver.reason !== '') return { reason: driver.reason }
  const found = findTensorRt(flavour)
  if ('reason' in found) return { reason: missingReason(found) }
  const foreign = foreignLibrary(found.file)
  if (foreign !== undefined) return { reason: `${found.file} is ${foreign}` }
  try {
    const { version } = await any.addon.versions(found.file, '')
    const family = tensorrtFamily(flavour, version)
    const { product } = tensorrtNames[flavour]
    if (!family) {
      const known = tensorrtVersions(flavour)
      return { reason: `${found.file} is ${product} ${version}; this version of unplugin-onnx knows ${known}` }
    }
    const own = loadAddon(family.addon)
    return 'reason' in own ? own : { addon: own.addon, library: found.file, plugins: found.plugins, version, driver }
  } catch (error) {
    return { reason: `${found.file} cannot be used: ${textOf(error)}` }
  }
}

/** An engine on its way to the library. */
interface ShippedEngine<F extends TensorRtFlavour> {
  readonly flavour: F
  readonly variant: VariantManifest<F>
  readonly engine: EngineFile
}

async function open<F extends TensorRtFlavour>(
  shipped: ShippedEngine<F>,
  bindings: SessionContext['bindings'],
  options: OpenOptions,
): Promise<Session> {
  const { flavour, variant, engine } = shipped
  const subject = modelSubject(options.model)
  const bytes = new Uint8Array(await engine.read())
  refuseForeign(shipped, bytes, `${subject}, engine file ${engine.path}`)
  const found = await installedFor(flavour, variant.requires)
  if ('reason' in found) throw new OnnxEngineError('BACKEND_UNAVAILABLE', `${subject}: ${found.reason}`)
  const chosen = chooseGpu(flavour, variant.requires, found.driver, options.device)
  if ('reason' in chosen) throw new OnnxEngineError('BACKEND_UNAVAILABLE', `${subject}: ${chosen.reason}`)
  const cache = openKernelCache(kernelCacheFile(shipped, found, chosen.gpu))
  const { versionCompatible }: RequiredVersion = variant.requires
  const settings = {
    device: chosen.index,
    contexts: options.workers ?? 2,
    cudaGraph: options.cudaGraph !== 'off',
    timed: options.timed === true,
    runtimeCache: await cache.read(),
    hostCode: versionCompatible === true,
    plugins: found.plugins,
  }
  try {
    return await loadSession(found, bytes, settings, { bindings, subject, cache })
  } catch (cause) {
    const text = `${subject}: ${tensorrtNames[flavour].product} cannot load ${engine.path}: ${textOf(cause)}`
    throw new OnnxEngineError('BACKEND_UNAVAILABLE', text, { cause })
  }
}

async function loadSession(
  { addon, library }: Installed,
  bytes: Uint8Array,
  settings: Parameters<TensorRtAddon['load']>[2],
  context: SessionContext,
): Promise<Session> {
  const engine = await addon.load(library, bytes, settings)
  return orClose(engine, () => createSession(engine, context))
}

// Before a library or a device is touched. The checksum was correct: the file was shipped like this.
function refuseForeign<F extends TensorRtFlavour>(
  { flavour, variant }: ShippedEngine<F>,
  bytes: Uint8Array,
  subject: string,
): void {
  const { version } = variant.requires
  const problem = flavour === 'tensorrt-rtx' ? headerProblem(bytes, version) : planProblem(bytes)
  if (problem === undefined) return
  throw new OnnxEngineError('ARTIFACT_INVALID', subject, {
    expected: `an engine of ${tensorrtNames[flavour].product} ${version}`,
    received: problem,
    hint: 'Build the model again.',
  })
}

// The header of a plan of TensorRT is not known.
function planProblem(bytes: Uint8Array): string | undefined {
  return bytes.length === 0 ? '0 bytes' : undefined
}

// TensorRT-RTX accepts saved kernels on the same GPU, system and release, with a driver of the same major version.
function kernelCacheFile<F extends TensorRtFlavour>(
  { flavour, variant }: ShippedEngine<F>,
  { version, driver }: Installed,
  gpu: Gpu,
): string {
  const driverMajor = driver.driver.split('.', 1)[0] ?? ''
  const parts = [variant.sha256.slice(0, 16), version, gpu.name, process.platform, driverMajor]
  return path.join(setupFolder(`runtime-cache-${flavour}`), parts.join('-').replaceAll(/[^\w.-]/g, '_'))
}

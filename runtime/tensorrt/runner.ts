import path from 'node:path'
import { loadAddon, type Gpu, type GpuProbe, type TensorRtAddon } from '../../native/load-addon.ts'
import {
  tensorrtFamilies,
  tensorrtFamily,
  tensorrtVersions,
  type TensorRtFlavour,
} from '../../native/tensorrt-wheels.ts'
import { readArtifact } from '../artifact.ts'
import { OnnxEngineError, textOf } from '../errors.ts'
import { foreignLibrary } from '../foreign-library.ts'
import { setupFolder } from '../library.ts'
import type { Bindings, Requirements, VariantManifest } from '../manifest.ts'
import type { OpenOptions, Runner, Session } from '../session.ts'
import { gpuFor } from './gpu.ts'
import { engineTrouble } from './header.ts'
import { openKernelCache } from './kernel-cache.ts'
import { findTensorRt, tensorrtNames } from './library.ts'
import { createSession } from './session.ts'
import { isOlder, versionRefusal, type RequiredVersion } from './version.ts'

/**
 * Runs engines of TensorRT-RTX on the GPU, in threads of the addon: nothing on the event loop but copies of the
 * tensors.
 */
export const tensorrtRtxRunner: Runner<'tensorrt-rtx'> = {
  async refusal(requires) {
    const found = await installedFor('tensorrt-rtx', requires)
    const chosen = 'reason' in found ? found : gpuFor('tensorrt-rtx', requires, found.driver)
    return 'reason' in chosen ? chosen.reason : undefined
  },
  open: (variant, ...rest) => open('tensorrt-rtx', variant, ...rest),
}

/**
 * Runs plans of TensorRT: on the kind of GPU that they were built on, with no older driver and the same release, or a
 * later one where the plan allows it.
 */
export const tensorrtRunner: Runner<'tensorrt'> = {
  async refusal(requires) {
    const found = await installedFor('tensorrt', requires)
    if ('reason' in found) return found.reason
    const { driver } = found.driver
    if (driver !== '' && isOlder(driver, requires.driver))
      return `needs the NVIDIA driver ${requires.driver} or newer, this machine has ${driver}`
    const chosen = gpuFor('tensorrt', requires, found.driver)
    return 'reason' in chosen ? chosen.reason : undefined
  },
  open: (variant, ...rest) => open('tensorrt', variant, ...rest),
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
  let known = installed.get(flavour)
  if (!known) installed.set(flavour, (known = findInstalled(flavour)))
  const found = await known
  if ('reason' in found) return found
  const why = versionRefusal(requires, found.version)
  const { product } = tensorrtNames[flavour]
  return why === undefined
    ? found
    : { reason: `compiled by ${product} ${requires.version}, but ${found.library} is ${found.version}, and ${why}` }
}

// The driver first: without one, no library would help, and that is the reason that most machines have.
async function findInstalled(flavour: TensorRtFlavour): Promise<Installed | { readonly reason: string }> {
  const any = loadAddon(tensorrtFamilies[0].addon)
  if ('reason' in any) return any
  const driver = await any.addon.gpus()
  if (driver.reason !== '') return { reason: driver.reason }
  const found = findTensorRt(flavour)
  if ('reason' in found) return { reason: `${found.reason}; tried ${found.tried}. ${found.hint}` }
  const foreign = foreignLibrary(found.file)
  if (foreign !== undefined) return { reason: `${found.file} is ${foreign}` }
  try {
    const { version } = await any.addon.versions(found.file, '')
    const family = tensorrtFamily(flavour, version)
    const { product } = tensorrtNames[flavour]
    if (!family)
      return {
        reason: `${found.file} is ${product} ${version}; this version of unplugin-onnx knows ${tensorrtVersions(flavour)}`,
      }
    const own = loadAddon(family.addon)
    return 'reason' in own ? own : { addon: own.addon, library: found.file, plugins: found.plugins, version, driver }
  } catch (error) {
    return { reason: `${found.file} cannot be used: ${textOf(error)}` }
  }
}

async function open<F extends TensorRtFlavour>(
  flavour: F,
  variant: VariantManifest<F>,
  file: string,
  bindings: Bindings,
  options: OpenOptions,
): Promise<Session> {
  const where = `model ${JSON.stringify(options.model)}`
  const bytes = new Uint8Array(await readArtifact(file, variant, options.model))
  refuseForeign(flavour, variant.requires.version, bytes, `${where}, engine file ${file}`)
  const found = await installedFor(flavour, variant.requires)
  if ('reason' in found) throw new OnnxEngineError('BACKEND_UNAVAILABLE', `${where}: ${found.reason}`)
  const chosen = gpuFor(flavour, variant.requires, found.driver, options.device)
  if ('reason' in chosen) throw new OnnxEngineError('BACKEND_UNAVAILABLE', `${where}: ${chosen.reason}`)
  const { workers = 2, cudaGraph = 'auto' } = options
  const { versionCompatible }: RequiredVersion = variant.requires
  const cache = openKernelCache(kernelCacheFile(flavour, variant.sha256, found, chosen.gpu))
  try {
    const settings = {
      device: chosen.index,
      contexts: workers,
      cudaGraph: cudaGraph === 'auto',
      runtimeCache: await cache.read(),
      hostCode: versionCompatible === true,
      plugins: found.plugins,
    }
    const engine = await found.addon.load(found.library, bytes, settings)
    try {
      return createSession(engine, bindings, where, cache)
    } catch (error) {
      await engine.close()
      throw error
    }
  } catch (cause) {
    throw new OnnxEngineError(
      'BACKEND_UNAVAILABLE',
      `${where}: ${tensorrtNames[flavour].product} cannot load ${file}: ${textOf(cause)}`,
      { cause },
    )
  }
}

// Before a library or a device is touched. The checksum was right: the file was shipped like this.
function refuseForeign(flavour: TensorRtFlavour, version: string, bytes: Uint8Array, where: string): void {
  const received =
    flavour === 'tensorrt-rtx' ? engineTrouble(bytes, version) : bytes.length === 0 ? '0 bytes' : undefined
  if (received === undefined) return
  const expected = `an engine of ${tensorrtNames[flavour].product} ${version}`
  throw new OnnxEngineError('ARTIFACT_INVALID', where, { expected, received, hint: 'Build the model again.' })
}

// The K4 key: TensorRT-RTX takes such a cache back on the same GPU, system and release, with a driver of the same major
// version.
function kernelCacheFile(flavour: TensorRtFlavour, sha256: string, { version, driver }: Installed, gpu: Gpu): string {
  const parts = [sha256.slice(0, 16), version, gpu.name, process.platform, driver.driver.split('.', 1)[0] ?? '']
  return path.join(setupFolder(`runtime-cache-${flavour}`), parts.join('-').replaceAll(/[^\w.-]/g, '_'))
}

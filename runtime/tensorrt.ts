import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { loadAddon, type Gpu, type GpuProbe, type TensorRtAddon, type TensorRtEngine } from '../native/index.ts'
import { tensorrtFamilies, tensorrtFamily, tensorrtVersions, type TensorRtFlavour } from '../native/tensorrt-wheels.ts'
import { readArtifact } from './artifact.ts'
import { OnnxEngineError, textOf } from './errors.ts'
import { createInFlight } from './in-flight.ts'
import { setupFolder } from './library.ts'
import type { Bindings, Requirements, VariantManifest } from './manifest.ts'
import { bytesOf, viewOf } from './own.ts'
import type { CheckedTensor, InferOptions, OpenOptions, Runner, Session } from './session.ts'
import { findTensorRt, tensorrtNames } from './tensorrt-library.ts'

/** Runs engines of TensorRT-RTX on the GPU, in threads of the addon: nothing on the event loop but copies of the tensors. */
export const tensorrtRtxRunner: Runner<'tensorrt-rtx'> = {
  async refusal(requires) {
    const found = await installedFor('tensorrt-rtx', requires)
    if ('reason' in found) return found.reason
    return found.driver.gpus.some(({ computeCapability }) => requires.targets.includes(computeCapability))
      ? undefined
      : `compiled for ${requires.targets.join(', ')}, but this machine has ${found.driver.gpus.map(textOfGpu).join(', ')}`
  },
  open: (variant, ...rest) => open('tensorrt-rtx', variant, ...rest),
}

/** Runs plans of TensorRT: on the kind of GPU that they were built on, with the same release and no older driver. */
export const tensorrtRunner: Runner<'tensorrt'> = {
  async refusal(requires) {
    const found = await installedFor('tensorrt', requires)
    if ('reason' in found) return found.reason
    const { driver, gpus } = found.driver
    if (driver !== '' && isOlder(driver, requires.driver)) return `needs the NVIDIA driver ${requires.driver} or newer, this machine has ${driver}`
    return gpus.some(({ computeCapability }) => computeCapability === requires.computeCapability)
      ? undefined
      : `compiled on ${requires.gpu} (${requires.computeCapability}), but this machine has ${gpus.map(textOfGpu).join(', ')}`
  },
  open: (variant, ...rest) => open('tensorrt', variant, ...rest),
}

interface Installed {
  readonly addon: TensorRtAddon
  readonly library: string
  readonly version: string
  readonly driver: GpuProbe
}

const installed = new Map<TensorRtFlavour, Promise<Installed | { readonly reason: string }>>()

async function installedFor(flavour: TensorRtFlavour, requires: Requirements[TensorRtFlavour]): Promise<Installed | { readonly reason: string }> {
  const here = `${process.platform} ${process.arch}`
  if (requires.platform !== process.platform || requires.arch !== process.arch) return { reason: `compiled for ${requires.platform} ${requires.arch}, this machine is ${here}` }
  let known = installed.get(flavour)
  if (!known) installed.set(flavour, (known = findInstalled(flavour)))
  const found = await known
  if ('reason' in found || found.version === requires.version) return found
  const { product } = tensorrtNames[flavour]
  return { reason: `compiled by ${product} ${requires.version}, but ${found.library} is ${found.version}, and engines never cross releases` }
}

// The driver first: without one, no library would help, and that is the reason that most machines have.
async function findInstalled(flavour: TensorRtFlavour): Promise<Installed | { readonly reason: string }> {
  const any = loadAddon(tensorrtFamilies[0].addon)
  if ('reason' in any) return any
  const driver = await any.addon.gpus()
  if (driver.reason !== '') return { reason: driver.reason }
  const found = findTensorRt(flavour)
  if ('reason' in found) return { reason: `${found.reason}; tried ${found.tried}. ${found.hint}` }
  try {
    const { version } = await any.addon.versions(found.file, '')
    const family = tensorrtFamily(flavour, version)
    const { product } = tensorrtNames[flavour]
    if (!family) return { reason: `${found.file} is ${product} ${version}; this version of unplugin-onnx knows ${tensorrtVersions(flavour)}` }
    const own = loadAddon(family.addon)
    return 'reason' in own ? own : { addon: own.addon, library: found.file, version, driver }
  } catch (error) {
    return { reason: `${found.file} cannot be used: ${textOf(error)}` }
  }
}

function isOlder(version: string, least: string): boolean {
  const [numbers, wanted] = [version, least].map((text) => text.split('.').map(Number))
  for (const [index, part] of (wanted ?? []).entries()) {
    const difference = (numbers?.[index] ?? 0) - part
    if (difference !== 0) return difference < 0
  }
  return false
}

function textOfGpu({ name, computeCapability }: Gpu): string {
  return `${name} (${computeCapability})`
}

async function open(flavour: TensorRtFlavour, variant: VariantManifest<TensorRtFlavour>, file: string, bindings: Bindings, options: OpenOptions): Promise<Session> {
  const where = `model ${JSON.stringify(options.model)}`
  const found = await installedFor(flavour, variant.requires)
  if ('reason' in found) throw new OnnxEngineError('BACKEND_UNAVAILABLE', `${where}: ${found.reason}`)
  const { device = 0, workers = 2, cudaGraph = 'auto' } = options
  const gpu = found.driver.gpus[device]
  if (!gpu) throw new OnnxEngineError('BACKEND_UNAVAILABLE', `${where}: there is no GPU ${device}: this machine has ${found.driver.gpus.map(textOfGpu).join(', ')}`)
  const bytes = new Uint8Array(await readArtifact(file, variant, options.model))
  const cache = runtimeCacheFile(flavour, variant, found, gpu)
  const runtimeCache = await readFile(cache).catch(() => new Uint8Array(0))
  try {
    const engine = await found.addon.load(found.library, bytes, { device, contexts: workers, cudaGraph: cudaGraph === 'auto', runtimeCache })
    checkTypes(engine, bindings)
    return createSession(engine, bindings, where, cache)
  } catch (cause) {
    throw new OnnxEngineError('BACKEND_UNAVAILABLE', `${where}: ${tensorrtNames[flavour].product} cannot load ${file}: ${textOf(cause)}`, { cause })
  }
}

// The K4 key: TensorRT-RTX takes such a cache back on the same GPU, system and release, with a driver of the same major version.
function runtimeCacheFile(flavour: TensorRtFlavour, { sha256 }: VariantManifest, { version, driver }: Installed, gpu: Gpu): string {
  const parts = [sha256.slice(0, 16), version, gpu.name, process.platform, driver.driver.split('.', 1)[0] ?? '']
  return path.join(setupFolder(`runtime-cache-${flavour}`), parts.join('-').replaceAll(/[^\w.-]/g, '_'))
}

// Reading bytes as another dtype would give wrong numbers without an error.
function checkTypes({ ports }: TensorRtEngine, { inputs, outputs }: Bindings): void {
  for (const { name, dtype } of [...inputs, ...outputs]) {
    const port = ports.find((candidate) => candidate.name === name)
    if (port && port.dtype !== dtype) throw new Error(`the engine's '${name}' is ${port.dtype}, the model's is ${dtype}`)
    if (!port && outputs.some((output) => output.name === name)) throw new Error(`the engine has no output '${name}'`)
  }
}

function createSession(engine: TensorRtEngine, bindings: Bindings, where: string, cache: string): Session {
  const calls = createInFlight()
  // An input that no node uses is not in the engine.
  const inputPorts = engine.ports.filter(({ input }) => input)
  const outputPorts = engine.ports.filter(({ input }) => !input)

  return {
    infer: (inputs, options) => calls.track(infer(inputs, options)),
    async dispose() {
      await calls.settled()
      await keepRuntimeCache()
      await engine.close()
    },
  }

  async function infer(inputs: ReadonlyMap<string, CheckedTensor>, { signal, transfer = false }: InferOptions) {
    const tensors = inputPorts.map(({ name }) => {
      const tensor = inputs.get(name)
      if (!tensor || !ArrayBuffer.isView(tensor.data)) throw new OnnxEngineError('INPUT_INVALID', `${where}, input ${JSON.stringify(name)}`, { expected: 'a tensor', received: 'none' })
      return { bytes: bytesOf(tensor.data), dims: tensor.dims }
    })
    refuseDims(tensors.map(({ dims }) => dims))
    const { id, outputs } = engine.infer(tensors, transfer)
    const cancel = () => engine.cancel(id)
    signal?.addEventListener('abort', cancel, { once: true })
    try {
      const results = await outputs
      const byName = new Map(outputPorts.map(({ name }, index) => [name, results[index]]))
      return new Map(bindings.outputs.map(({ name, dtype }): [string, CheckedTensor] => {
        const { buffer, dims } = byName.get(name) ?? { buffer: new ArrayBuffer(0), dims: [] }
        return [name, { dtype, dims, data: viewOf(dtype, buffer, 0, buffer.byteLength) }]
      }))
    } catch (cause) {
      if (signal?.aborted) throw new OnnxEngineError('ABORTED', `${where}: infer() was aborted by its signal`, { cause })
      throw new OnnxEngineError('INFERENCE_FAILED', `${where}: TensorRT failed while running the model: ${textOf(cause)}`, { cause })
    } finally {
      signal?.removeEventListener('abort', cancel)
    }
  }

  function refuseDims(all: readonly (readonly number[])[]): void {
    const fits = engine.profiles.some(({ min, max }) => all.every((dims, input) => {
      const [low, high] = [min[input] ?? [], max[input] ?? []]
      return dims.length === low.length && dims.every((dim, axis) => dim >= (low[axis] ?? 0) && dim <= (high[axis] ?? 0))
    }))
    if (fits) return
    const texts = engine.profiles.map(({ min, max }) => inputPorts.map(({ name }, input) => (
      `${name} [${(min[input] ?? []).map((low, axis) => (low === max[input]?.[axis] ? low : `${low}..${max[input]?.[axis]}`)).join(',')}]`
    )).join(' with '))
    throw new OnnxEngineError('INPUT_INVALID', `${where}, inputs`, {
      expected: `dims of an optimization profile: ${texts.join(', or ')}`,
      received: inputPorts.map(({ name }, input) => `${name} [${all[input]?.join(',')}]`).join(' with '),
    })
  }

  // Losing it costs the next start some seconds, so that a full disk must not fail dispose().
  async function keepRuntimeCache(): Promise<void> {
    const temporary = `${cache}.${process.pid}.tmp`
    try {
      const bytes = await engine.runtimeCache()
      if (bytes.byteLength === 0) return
      await mkdir(path.dirname(cache), { recursive: true })
      await writeFile(temporary, new Uint8Array(bytes))
      await rename(temporary, cache)
    } catch {
      await rm(temporary, { force: true })
    }
  }
}

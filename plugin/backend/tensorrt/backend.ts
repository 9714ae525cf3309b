import { execFile } from 'node:child_process'
import { statSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type GpuProbe, loadAddon } from '../../../native/load-addon.ts'
import { type TensorRtFlavour, tensorrtFamily, tensorrtVersions } from '../../../native/tensorrt-wheels.ts'
import { OnnxEngineError } from '../../../runtime/errors.ts'
import { setupFolder } from '../../../runtime/library.ts'
import type { Precision } from '../../../runtime/manifest.ts'
import { type TensorRtLibrary, findTensorRt, tensorrtNames } from '../../../runtime/tensorrt/library.ts'
import { cacheKey, type Facts } from '../../cache/key.ts'
import type { Model } from '../../onnx/model.ts'
import type { CompileOptions } from '../../options/resolve.ts'
import type { Backend, Probe, BuildPlan, Lowering } from '../contract.ts'
import type { TensorRtSettings } from './compile.ts'
import { fixedInputs, profilesOf } from './profiles.ts'

const worker = new URL('./compile.js', import.meta.url)

/** What the probe found, for `plan`. `driver` is data: keys are tested with what other machines answered. */
export interface TensorRtDetail extends TensorRtLibrary {
  /** Size of the library's file: the builds for CUDA 12 and CUDA 13 carry one version number. */
  readonly bytes: number
  /** Version of the parser's interface. */
  readonly parserVersion: number
  readonly driver: GpuProbe
}

/** Engines for NVIDIA RTX GPUs, built without one: for compute capabilities, and final on the user's own GPU. */
export const tensorrtRtx: Backend<'tensorrt-rtx'> = {
  name: 'tensorrt-rtx',
  probe: (options, root) => probe('tensorrt-rtx', options.tensorrtRtx.library, root),
  plan: (model, options, found) =>
    targetGroups(options).map((targets) => planForTargets(model, options, found, targets)),
}

/** Plans for the NVIDIA GPU at hand. */
export const tensorrt: Backend<'tensorrt'> = {
  name: 'tensorrt',
  async probe(options, root) {
    const found = await probe('tensorrt', options.tensorrt.library, root)
    if (!found.available) return found
    const { driver } = found.detail as unknown as TensorRtDetail
    return driver.reason === ''
      ? found
      : { available: false, reason: `TensorRT ${found.version} builds on a GPU only, and ${driver.reason}` }
  },
  plan: (model, options, found) => [planForGpu(model, options, found)],
}

/** Those of TensorRT-RTX's ComputeCapability. */
const rtxTargets = ['sm75', 'sm80', 'sm86', 'sm89', 'sm120', 'sm121'] as const

// RTX GPUs of desktops and laptops since 2020: RTX 30, 40 and 50. Left out are sm75 (RTX 20, which needs an engine of
// its own), sm80 (A100, a server) and sm121 (DGX Spark).
const defaultTargets: readonly string[] = ['sm86', 'sm89', 'sm120']

const probes = new Map<string, Promise<Probe>>()

function probe(flavour: TensorRtFlavour, option: string | undefined, root: string): Promise<Probe> {
  const found = findTensorRt(flavour, option && path.resolve(root, option))
  if ('reason' in found) return Promise.resolve({ available: false, ...found })
  if (found.parser === '')
    return Promise.resolve({
      available: false,
      reason: `${found.file} has no ONNX parser beside it`,
      hint: 'Install the whole SDK: a build needs both libraries',
    })
  let known = probes.get(found.file)
  if (!known) probes.set(found.file, (known = probeInChild(flavour, found)))
  return known
}

// A library that is broken, or no library at all, may crash whoever opens it: that is not to be the bundler.
async function probeInChild(flavour: TensorRtFlavour, { file, parser }: TensorRtLibrary): Promise<Probe> {
  const main = fileURLToPath(new URL('./probe.js', import.meta.url))
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [main, file, parser])
    const {
      version,
      parser: parserVersion,
      driver,
    } = JSON.parse(stdout) as { version: string; parser: number; driver: GpuProbe }
    const family = tensorrtFamily(flavour, version)
    const { product } = tensorrtNames[flavour]
    if (!family)
      return {
        available: false,
        reason: `${file} is ${product} ${version}; this version of unplugin-onnx knows ${tensorrtVersions(flavour)}`,
      }
    const addon = loadAddon(family.addon)
    if ('reason' in addon) return { available: false, reason: addon.reason }
    return {
      available: true,
      version,
      detail: { file, parser, parserVersion, bytes: statSync(file).size, driver } satisfies TensorRtDetail,
    }
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string }
    // Node prints the place of the throw and a stack around the one line that says it.
    const reason = /^\[?Error: (.*?)\]?$/m.exec(stderr ?? '')?.[1] ?? (stderr?.trim() || message)
    return { available: false, reason: `${file} cannot be used: ${reason.slice(-2000)}` }
  }
}

type Found = Extract<Probe, { available: true }>

/** Turing is built apart: TensorRT-RTX refuses it beside newer ones. */
function targetGroups({ targets: asked }: CompileOptions): readonly (readonly string[])[] {
  const targets = asked.length > 0 ? asked : defaultTargets
  const unknown = targets.find((target) => !rtxTargets.some((known) => known === target))
  if (unknown !== undefined) {
    throw new OnnxEngineError('OPTION_INVALID', 'targets of tensorrt-rtx', {
      expected: `some of ${rtxTargets.join(', ')}`,
      received: unknown,
      hint: 'TensorRT-RTX is for GeForce and RTX GPUs; for server GPUs such as H100 use the backend tensorrt on a machine that has one',
    })
  }
  const newer = targets.filter((target) => target !== 'sm75').sort((a, b) => numberOf(a) - numberOf(b))
  return [...(newer.length > 0 ? [newer] : []), ...(targets.includes('sm75') ? [['sm75']] : [])]
}

function numberOf(target: string): number {
  return Number(target.slice(2))
}

function planForTargets(
  model: Model,
  options: CompileOptions,
  found: Found,
  targets: readonly string[],
): BuildPlan<'tensorrt-rtx'> {
  const { platform, arch } = process
  const { common, facts } = describe('tensorrt-rtx', model, options, found)
  return {
    label: targets[0] === 'sm75' ? 'turing' : '',
    extension: '.engine',
    facts: { ...facts, targets },
    requires: { version: found.version, targets, platform, arch },
    lowering: lowerings[options.engine],
    worker,
    settings: { ...common, targets, computeCapabilities: targets.map(numberOf) } satisfies TensorRtSettings,
    notes:
      targets[0] === 'sm75'
        ? ['TensorRT-RTX has no fp32 GEMM for Turing (sm75): compile with engine=fp16 when the build fails']
        : [],
  }
}

function planForGpu(model: Model, options: CompileOptions, found: Found): BuildPlan<'tensorrt'> {
  const { platform, arch } = process
  const { driver } = found.detail as unknown as TensorRtDetail
  // The first GPU is the one that TensorRT builds for.
  const gpu = driver.gpus[0]
  if (!gpu) throw new OnnxEngineError('BACKEND_UNAVAILABLE', `tensorrt: ${driver.reason}`)
  const { computeCapability } = gpu
  const other = options.targets.find((target) => target !== computeCapability)
  if (other !== undefined) {
    throw new OnnxEngineError('OPTION_INVALID', 'targets of tensorrt', {
      expected: `${computeCapability}, that of ${gpu.name}`,
      received: other,
      hint: 'TensorRT builds for the GPU at hand; the backend tensorrt-rtx builds for others',
    })
  }
  const { hardwareCompatibility, versionCompatible, timingCache } = options.tensorrt
  const { common, facts } = describe('tensorrt', model, options, found)
  const key = { ...facts, ...gpuFacts(driver, hardwareCompatibility), hardwareCompatibility }
  return {
    label: '',
    extension: '.engine',
    facts: key,
    requires: {
      version: found.version,
      ...(versionCompatible && { versionCompatible }),
      gpu: gpu.name,
      computeCapability: hardwareCompatibility === 'ampere+' ? 'sm80+' : computeCapability,
      driver: driver.driver,
      platform,
      arch,
    },
    lowering: lowerings[options.engine],
    worker,
    settings: {
      ...common,
      targets: [gpu.name],
      hardwareCompatibility,
      timingCache: timingCache ? setupFolder(`timing-${cacheKey(timingFacts(found)).digest.slice(0, 16)}`) : '',
    } satisfies TensorRtSettings,
  }
}

/**
 * What of the GPU and driver decides a plan's bytes and validity: by how portable it is. Never the UUID or the index,
 * which two equal machines do not share. Memory is rounded to GiB, of which a driver keeps a little.
 */
export function gpuFacts(
  { driver, cuda, gpus }: GpuProbe,
  compatibility: 'none' | 'ampere+' | 'same-compute-capability',
): Facts {
  const [gpu] = gpus
  if (!gpu) throw new TypeError('a key of TensorRT needs a GPU')
  const { name, computeCapability, multiprocessors, l2Bytes, memoryBusBits, memoryBytes } = gpu
  if (compatibility === 'ampere+') return { driver, cuda, computeCapability: 'sm80+' }
  if (compatibility === 'same-compute-capability') return { driver, cuda, computeCapability }
  return {
    driver,
    cuda,
    computeCapability,
    gpu: name,
    multiprocessors,
    l2Bytes,
    memoryBusBits,
    memoryGiB: Math.round(memoryBytes / 2 ** 30),
  }
}

/** The K3 facts: timings hold for one release on one kind of GPU. */
function timingFacts({ version, detail }: Found): Facts {
  const { driver } = detail as unknown as TensorRtDetail
  const { driver: _, ...gpu } = gpuFacts(driver, 'none')
  return { tensorrt: version, platform: process.platform, ...gpu }
}

// All strongly typed: precision is in the graph that our own pass wrote.
const lowerings = {
  fp32: 'none',
  fp16: 'compute',
  bf16: 'compute',
  int8: 'compute',
  'int8-weights': 'compute',
} as const satisfies Record<Precision, Lowering>

function describe(flavour: TensorRtFlavour, model: Model, options: CompileOptions, found: Found) {
  const { product } = tensorrtNames[flavour]
  const detail = found.detail as unknown as TensorRtDetail
  const family = tensorrtFamily(flavour, found.version)
  if (!family)
    throw new OnnxEngineError('BACKEND_UNAVAILABLE', `${flavour}: ${product} ${found.version} is of no known family`)
  refuseDtypes(model, flavour)
  const own = flavour === 'tensorrt' ? options.tensorrt : options.tensorrtRtx
  const {
    builderOptimizationLevel = null,
    maxAuxStreams = null,
    profilingVerbosity,
    memoryPoolLimits,
    stripPlan,
    refit,
  } = own
  const workspace = memoryPoolLimits.workspace ?? null
  const flags = [
    ...(refit ? ['REFIT'] : []),
    ...(stripPlan ? ['STRIP_PLAN', ...(refit ? [] : ['REFIT_IDENTICAL'])] : []),
    ...(flavour === 'tensorrt' && options.tensorrt.versionCompatible ? ['VERSION_COMPATIBLE'] : []),
  ]
  const fixed = fixedInputs(model, options)
  const profiles = profilesOf(model, options, flavour)
  const facts: Facts = {
    [flavour]: found.version,
    addon: family.addon,
    libraryBytes: detail.bytes,
    parser: detail.parserVersion,
    platform: process.platform,
    arch: process.arch,
    flags,
    profilingVerbosity,
    ...(builderOptimizationLevel !== null && { builderOptimizationLevel }),
    ...(maxAuxStreams !== null && { maxAuxStreams }),
    ...(workspace !== null && { workspace }),
    profiles: profiles.flatMap((inputs, number) =>
      inputs.map(
        ({ input, values, min, opt, max }) =>
          `${number} ${input}${values ? ' values' : ''}=${[min, opt, max].map((dims) => dims.join('x')).join('..')}`,
      ),
    ),
  }
  const common = {
    addon: family.addon,
    library: detail.file,
    parser: detail.parser,
    product: `${product} ${found.version}`,
    computeCapabilities: [] as number[],
    fixed,
    profiles,
    flags,
    hardwareCompatibility: 'none',
    profilingVerbosity,
    builderOptimizationLevel,
    maxAuxStreams,
    workspace,
    timingCache: '',
  } as const
  return { common, facts }
}

// TensorRT would compute others in another type, and the bytes of a binding would no longer be what its types say.
const dtypes = ['float32', 'float16', 'bfloat16', 'int64', 'int32', 'int8', 'uint8', 'bool']

function refuseDtypes({ file, bindings }: Model, flavour: TensorRtFlavour): void {
  const other = [...bindings.inputs, ...bindings.outputs].find(({ dtype }) => !dtypes.includes(dtype))
  if (other)
    throw new OnnxEngineError('MODEL_UNSUPPORTED', `${file}: binding '${other.name}' with ${flavour}`, {
      expected: `one of ${dtypes.join(', ')}`,
      received: other.dtype,
    })
}

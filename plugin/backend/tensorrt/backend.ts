import { statSync } from 'node:fs'
import path from 'node:path'
import { type GpuProbe, loadAddon } from '../../../native/load-addon.ts'
import { type TensorRtFlavour, tensorrtFamily, tensorrtVersions } from '../../../native/tensorrt-wheels.ts'
import { OnnxEngineError } from '../../../runtime/errors.ts'
import { foreignLibrary } from '../../../runtime/foreign-library.ts'
import { setupFolder } from '../../../runtime/library.ts'
import { type TensorRtLibrary, findTensorRt, parsersNextTo, tensorrtNames } from '../../../runtime/tensorrt/library.ts'
import { cacheKey, type Facts } from '../../cache/key.ts'
import type { Model } from '../../onnx/model.ts'
import type { CompileOptions, ProbeOptions } from '../../options/schema.ts'
import type { Available, Backend, BuildPlan, Probe } from '../contract.ts'
import { probeInChild } from '../probe-in-child.ts'
import { gpuFacts } from './gpu-facts.ts'
import { type Machine, readMachines } from './machines.ts'
import { engineSettings, type TensorRtDetail } from './settings.ts'

const worker = new URL('./compile.js', import.meta.url)

/** Engines for NVIDIA RTX GPUs, built without one: for compute capabilities, and final on the user's own GPU. */
export const tensorrtRtx: Backend<'tensorrt-rtx', TensorRtDetail> = {
  name: 'tensorrt-rtx',
  fixesOptionalInputs: true,
  probe: (options, root) => probe('tensorrt-rtx', options.tensorrtRtx.library, root),
  plan: (model, options, found) =>
    targetGroups(options).map((targets) => planForTargets(model, options, found, targets)),
}

/** TensorRT on this machine, if it can build here, and on others. */
export interface TensorRtPlaces {
  readonly here: Found | undefined
  readonly elsewhere: readonly Machine[]
}

/** Plans for the NVIDIA GPU at hand, and those that other machines have built. */
export const tensorrt: Backend<'tensorrt', TensorRtPlaces> = {
  name: 'tensorrt',
  fixesOptionalInputs: true,
  async probe(options, root) {
    const elsewhere = await readMachines(options.tensorrt.machines, root)
    const found = await probeGpu(options, root)
    const [first] = elsewhere
    if (found.available) return { ...found, detail: { here: found, elsewhere } }
    return first ? { available: true, version: first.found.version, detail: { here: undefined, elsewhere } } : found
  },
  plan: (model, options, { detail: { here, elsewhere } }) => {
    const own = here ? [planForGpu(model, options, here)] : []
    const others = elsewhere.map((machine) => planForMachine(model, options, machine))
    const plans = [...own, ...others]
    refuseTargets(options.targets, plans)
    // Two files may be of equal machines, or of this one.
    const byKey = new Map([...plans].reverse().map((plan) => [cacheKey(plan.facts).digest, plan]))
    return [...byKey.values()].reverse().filter((plan) => isWanted(options.targets, plan))
  },
}

async function probeGpu(options: ProbeOptions, root: string): Promise<Probe<TensorRtDetail>> {
  const found = await probe('tensorrt', options.tensorrt.library, root)
  if (!found.available) return found
  const { driver } = found.detail
  return driver.reason === ''
    ? found
    : { available: false, reason: `TensorRT ${found.version} builds on a GPU only, and ${driver.reason}` }
}

/** Those of TensorRT-RTX's ComputeCapability. */
const rtxTargets = ['sm75', 'sm80', 'sm86', 'sm89', 'sm120', 'sm121'] as const

// RTX GPUs of desktops and laptops since 2020: RTX 30, 40 and 50. Left out are sm75 (RTX 20, which needs an engine of
// its own), sm80 (A100, a server) and sm121 (DGX Spark).
const defaultTargets: readonly string[] = ['sm86', 'sm89', 'sm120']

const probes = new Map<string, Promise<Probe<TensorRtDetail>>>()

function probe(flavour: TensorRtFlavour, option: string | undefined, root: string): Promise<Probe<TensorRtDetail>> {
  const found = findTensorRt(flavour, option && path.resolve(root, option))
  if ('reason' in found) return Promise.resolve({ available: false, ...found })
  const trouble = libraryTrouble(flavour, found)
  if (trouble) return Promise.resolve({ available: false, ...trouble })
  const probed = probes.get(found.file) ?? probeLibrary(flavour, found)
  probes.set(found.file, probed)
  return probed
}

/** What is wrong with the files, before any of them is opened. */
function libraryTrouble(
  flavour: TensorRtFlavour,
  { file, parser }: TensorRtLibrary,
): { readonly reason: string; readonly hint: string } | undefined {
  const { product } = tensorrtNames[flavour]
  const foreign = foreignLibrary(file)
  if (foreign !== undefined)
    return { reason: `${file} is ${foreign}`, hint: `Install ${product} for ${process.platform} ${process.arch}` }
  if (parser !== '') return undefined
  const [other] = parsersNextTo(flavour, file)
  const reason =
    other === undefined
      ? `${file} has no ONNX parser next to it`
      : `${file} has only the ONNX parser of another ${product} next to it, ${path.basename(other)}`
  return { reason, hint: 'Install the whole SDK: a build needs both libraries, of one release' }
}

interface TensorRtAnswer {
  readonly version: string
  readonly parser: number
  readonly driver: GpuProbe
}

async function probeLibrary(flavour: TensorRtFlavour, library: TensorRtLibrary): Promise<Probe<TensorRtDetail>> {
  const { file, parser, plugins } = library
  const main = new URL('./probe.js', import.meta.url)
  const probed = await probeInChild<TensorRtAnswer>(main, [file, flavour, parser, plugins])
  if ('reason' in probed) return { available: false, reason: probed.reason }
  const { version, parser: parserVersion, driver } = probed.answer
  const family = tensorrtFamily(flavour, version)
  if (!family) {
    const known = tensorrtVersions(flavour)
    const { product } = tensorrtNames[flavour]
    const reason = `${file} is ${product} ${version}; this version of unplugin-onnx knows ${known}`
    return { available: false, reason }
  }
  const addon = loadAddon(family.addon)
  if ('reason' in addon) return { available: false, reason: addon.reason }
  const bytes = statSync(file).size
  const { platform, arch } = process
  return { available: true, version, detail: { ...library, parserVersion, bytes, driver, platform, arch } }
}

type Found = Available<TensorRtDetail>

/** Turing gets an engine of its own: TensorRT-RTX refuses it together with newer GPUs. */
function targetGroups({ targets: asked }: CompileOptions): readonly (readonly string[])[] {
  const targets = asked.length > 0 ? asked : defaultTargets
  const unknown = targets.find((target) => !rtxTargets.some((known) => known === target))
  if (unknown !== undefined) {
    throw new OnnxEngineError('OPTION_INVALID', 'targets of tensorrt-rtx', {
      expected: `some of ${rtxTargets.join(', ')}`,
      received: unknown,
      hint:
        'TensorRT-RTX is for GeForce and RTX GPUs. ' +
        'For server GPUs such as H100, use the backend tensorrt on a machine that has one',
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
  const { settings, facts } = engineSettings({ flavour: 'tensorrt-rtx', model, options, found })
  return {
    label: targets[0] === 'sm75' ? 'turing' : '',
    extension: '.engine',
    facts: { ...facts, targets },
    requires: { version: found.version, targets, platform, arch },
    lowering: loweringOf(options),
    simplify: true,
    worker,
    settings: { ...settings, targets, computeCapabilities: targets.map(numberOf) },
    notes:
      targets[0] === 'sm75'
        ? ['TensorRT-RTX has no fp32 GEMM for Turing (sm75): compile with engine=fp16 when the build fails']
        : [],
  }
}

/** A plan that another machine builds. */
function planForMachine(model: Model, options: CompileOptions, { file, found }: Machine): BuildPlan<'tensorrt'> {
  const plan = planForGpu(model, options, found)
  const { gpu } = plan.requires
  const label = gpu.toLowerCase().replaceAll(/\W+/g, '-')
  return { ...plan, label, elsewhere: `the machine of ${file}, with ${gpu}` }
}

function isWanted(targets: readonly string[], { requires }: BuildPlan<'tensorrt'>): boolean {
  return targets.length === 0 || targets.includes(requires.computeCapability)
}

function refuseTargets(targets: readonly string[], plans: readonly BuildPlan<'tensorrt'>[]): void {
  const capabilities = new Set(plans.map(({ requires }) => requires.computeCapability))
  const other = targets.find((target) => !capabilities.has(target))
  if (other === undefined) return
  const names = plans.map(({ requires }) => `${requires.computeCapability}, that of ${requires.gpu}`)
  throw new OnnxEngineError('OPTION_INVALID', 'targets of tensorrt', {
    expected: names.join(' or '),
    received: other,
    hint:
      'TensorRT builds for the GPU at hand; the backend tensorrt-rtx builds for others, ' +
      `and 'tensorrt.machines' takes plans that other machines have built`,
  })
}

function planForGpu(model: Model, options: CompileOptions, found: Found): BuildPlan<'tensorrt'> {
  const { driver, platform, arch } = found.detail
  // The first GPU is the one that TensorRT builds for.
  const gpu = driver.gpus[0]
  if (!gpu) throw new OnnxEngineError('BACKEND_UNAVAILABLE', `tensorrt: ${driver.reason}`)
  const { computeCapability } = gpu
  const { hardwareCompatibility, versionCompatible, timingCache } = options.tensorrt
  const { settings, facts } = engineSettings({ flavour: 'tensorrt', model, options, found })
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
    lowering: loweringOf(options),
    simplify: true,
    worker,
    settings: {
      ...settings,
      targets: [gpu.name],
      hardwareCompatibility,
      timingCache: timingCache ? setupFolder(`timing-${cacheKey(timingFacts(found)).digest.slice(0, 16)}`) : '',
    },
  }
}

/** Facts for the timing cache: timings hold for one release on one kind of GPU. */
function timingFacts({ version, detail }: Found): Facts {
  const { driver: _, ...gpu } = gpuFacts(detail.driver, 'none')
  return { tensorrt: version, platform: detail.platform, ...gpu }
}

// All strongly typed: precision is in the graph that our own pass wrote.
function loweringOf({ engine }: CompileOptions): 'none' | 'compute' {
  return engine === 'fp32' ? 'none' : 'compute'
}

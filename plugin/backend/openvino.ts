import { execFile } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { loadAddon, type DimBounds, type OpenVinoDevice } from '../../native/index.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Binding, Precision } from '../../runtime/manifest.ts'
import { findOpenVino } from '../../runtime/openvino-library.ts'
import { namedDims } from '../onnx/fix.ts'
import type { Model } from '../onnx/model.ts'
import type { CompileOptions, Profile, Shapes } from '../options.ts'
import { byName } from '../schema.ts'
import type { Backend, BuildPlan, Probe } from './contract.ts'

const worker = new URL('./openvino-compile.js', import.meta.url)

/** What the child process needs to know. */
export interface OpenVinoSettings {
  /** Path of libopenvino_c. */
  readonly library: string
  readonly device: string
  /** OpenVINO's properties by their own names. */
  readonly properties: Readonly<Record<string, string>>
  readonly shapes: Readonly<Record<string, DimBounds>>
}

/** What the probe found, for `plan`. */
interface OpenVinoDetail {
  readonly library: string
  readonly devices: readonly OpenVinoDevice[]
}

/**
 * OpenVINO on the CPU, or an Intel GPU or NPU: the compiled blob is exported and imported again at run time. A CPU blob runs only on
 * machines with the instruction set that OpenVINO found here.
 */
export const openvino: Backend<'openvino'> = {
  name: 'openvino',
  probe({ openvino: { library } }, root): Promise<Probe> {
    const found = findOpenVino(library && path.resolve(root, library))
    if ('reason' in found) return Promise.resolve({ available: false, ...found })
    const addon = loadAddon('openvino')
    if ('reason' in addon) return Promise.resolve({ available: false, reason: addon.reason })
    let known = probes.get(found.file)
    if (!known) probes.set(found.file, (known = probeInChild(found.file)))
    return known
  },
  plan(model, options, probe) {
    const detail = probe.detail as unknown as OpenVinoDetail
    const device = deviceOf(options, detail.devices)
    const { performanceHint, threads } = options.openvino
    const properties = {
      PERFORMANCE_HINT: performanceHint.toUpperCase(),
      INFERENCE_PRECISION_HINT: inferencePrecision(model, options.engine, device),
      ...(threads !== undefined && { INFERENCE_NUM_THREADS: String(threads) }),
    }
    refuseStrings(model)
    return [{ ...planOf(device, properties, boundsOf(model, options), probe.version, detail.library), notes: notesOf(model, device) }]
  },
}

const probes = new Map<string, Promise<Probe>>()

// A library that is broken, or of another machine, may crash whoever opens it: that is not to be the bundler.
async function probeInChild(library: string): Promise<Probe> {
  const main = fileURLToPath(new URL('./openvino-probe.js', import.meta.url))
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [main, library])
    const { version, devices } = JSON.parse(stdout) as { version: string; devices: readonly OpenVinoDevice[] }
    return { available: true, version, detail: { library, devices } satisfies OpenVinoDetail }
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string }
    return { available: false, reason: `${library} cannot be used: ${(stderr?.trim() || message).slice(-2000)}` }
  }
}

function planOf(
  device: OpenVinoDevice,
  properties: Readonly<Record<string, string>>,
  shapes: Readonly<Record<string, DimBounds>>,
  version: string,
  library: string,
): BuildPlan<'openvino'> {
  const { name, fullName, runtimeRequirements } = device
  const { platform, arch } = process
  const kind = deviceKind(name)
  return {
    label: '',
    extension: '.blob',
    facts: {
      openvino: version,
      device: kind,
      // A CPU's blob depends on its instruction set alone, which the requirements name; of other devices nothing is known.
      ...(kind !== 'CPU' && { deviceName: fullName }),
      runtimeRequirements,
      properties: Object.entries(properties).map(([key, value]) => `${key}=${value}`),
      bounds: Object.entries(shapes).map(([input, { min, max }]) => `${input}:${min.map((low, axis) => `${low}..${max[axis]}`).join('x')}`),
      platform,
      arch,
    },
    requires: { version, device: kind, arch, runtimeRequirements, properties },
    lowering: 'none',
    worker,
    settings: { library, device: name, properties, shapes } satisfies OpenVinoSettings,
  }
}

function notesOf({ bindings }: Model, { runtimeRequirements }: OpenVinoDevice): string[] {
  const isa = /isa=([^;]+)/.exec(runtimeRequirements)?.[1]
  const wide = [...bindings.inputs, ...bindings.outputs].find(({ dtype }) => dtype === 'float64')
  return [
    ...(isa ? [`the OpenVINO engine runs only on CPUs with ${isa}, as this one`] : []),
    ...(wide ? [`OpenVINO computes float64 in fp32, as for binding '${wide.name}'`] : []),
  ]
}

function deviceOf({ openvino: { device: asked } }: CompileOptions, devices: readonly OpenVinoDevice[]): OpenVinoDevice {
  // OpenVINO lists one GPU as 'GPU', several as 'GPU.0' and 'GPU.1'; plain 'GPU' is then the first.
  const device = devices.find(({ name }) => name === asked) ?? devices.find(({ name }) => deviceKind(name) === asked)
  if (device) return device
  throw new OnnxEngineError('BACKEND_UNAVAILABLE', 'openvino: option openvino.device', {
    expected: devices.map(({ name }) => `'${name}'`).join(' or '),
    received: `'${asked}'`,
    hint: 'OpenVINO finds no such device here: check its driver, or choose another',
  })
}

function deviceKind(name: string): string {
  return name.split('.', 1)[0] ?? name
}

// `needs` is a capability in OpenVINO's terms.
const precisions: Partial<Record<Precision, { readonly hint: string; readonly needs: string }>> = {
  fp32: { hint: 'f32', needs: 'FP32' },
  bf16: { hint: 'bf16', needs: 'BF16' },
}

function inferencePrecision({ file }: Model, engine: Precision, device: OpenVinoDevice): string {
  const capabilities = device.capabilities.split(' ')
  const precision = precisions[engine]
  if (precision && capabilities.includes(precision.needs)) return precision.hint
  const possible = Object.entries(precisions).filter(([, { needs }]) => capabilities.includes(needs))
  const names = possible.map(([name]) => name)
  throw new OnnxEngineError('PRECISION_UNSUPPORTED', `${file}: engine=${engine} with openvino on ${device.name} (${device.fullName})`, {
    expected: names.join(' or '),
    received: engine,
    hint: `Import the model with ?engine=${names[0] ?? 'fp32'}`,
  })
}

function refuseStrings({ file, bindings }: Model): void {
  const text = [...bindings.inputs, ...bindings.outputs].find(({ dtype }) => dtype === 'string')
  if (text) throw new OnnxEngineError('MODEL_UNSUPPORTED', `${file}: binding '${text.name}' with openvino`, { expected: 'a numeric dtype', received: 'string' })
}

/** Bounds for each input of which a dim is fixed or has a profile; several profiles become the range that covers them all. */
function boundsOf({ bindings: { inputs } }: Model, { shapes, profiles }: CompileOptions): Readonly<Record<string, DimBounds>> {
  const named = namedDims(inputs, shapes)
  return byName(inputs.flatMap((input): [string, DimBounds][] => {
    const fixed = dimsOf(shapes, input.name)
    const bounds = fixed ? { min: fixed, max: fixed } : (profiled(input.name, profiles) ?? partlyFixed(input, named))
    return bounds ? [[input.name, bounds]] : []
  }))
}

function profiled(input: string, profiles: readonly Profile[]): DimBounds | undefined {
  const min = across(Math.min, profiles.map((profile) => dimsOf(profile.min, input)))
  const max = across(Math.max, profiles.map((profile) => dimsOf(profile.max, input)))
  return min && max && { min, max }
}

function across(pick: (...values: number[]) => number, lists: readonly (readonly number[] | undefined)[]): number[] | undefined {
  const given = lists.filter((list) => list !== undefined)
  return given[0]?.map((_, axis) => pick(...given.map((list) => list[axis] ?? 0)))
}

/** An input that shares a named dim with one whose shape is fixed. */
function partlyFixed({ dims }: Binding, named: ReadonlyMap<string, number>): DimBounds | undefined {
  if (!dims?.some((dim) => typeof dim === 'string' && named.has(dim))) return undefined
  const known = dims.map((dim) => (typeof dim === 'string' ? named.get(dim) : dim))
  return { min: known.map((dim) => dim ?? 0), max: known.map((dim) => dim ?? -1) }
}

function dimsOf(shapes: Shapes, input: string): readonly number[] | undefined {
  return Object.hasOwn(shapes, input) ? shapes[input] : undefined
}

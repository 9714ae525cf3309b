import path from 'node:path'
import { type OpenVinoDevice, loadAddon, type DimBounds } from '../../../native/load-addon.ts'
import { OnnxEngineError } from '../../../runtime/errors.ts'
import type { Precision, Binding } from '../../../runtime/manifest.ts'
import { findOpenVino } from '../../../runtime/openvino/library.ts'
import type { Model } from '../../onnx/model.ts'
import { namedDims } from '../../options/engine-bindings.ts'
import { listedProfiles } from '../../options/listed-profiles.ts'
import type { CompileOptions } from '../../options/schema.ts'
import type { Profile, Shapes } from '../../options/types.ts'
import { byName } from '../../text.ts'
import type { Available, Backend, BuildPlan, Lowering, Probe } from '../contract.ts'
import { probeInChild } from '../probe-in-child.ts'
import type { OpenVinoSettings } from './compile.ts'

const worker = new URL('./compile.js', import.meta.url)

/** The library that the probe found, and the devices that it sees. */
export interface OpenVinoDetail {
  readonly library: string
  readonly devices: readonly OpenVinoDevice[]
}

/**
 * OpenVINO on the CPU, or an Intel GPU or NPU: the compiled blob is exported and imported again at run time. A CPU blob
 * runs only on machines with the instruction set that OpenVINO found here.
 */
export const openvino: Backend<'openvino', OpenVinoDetail> = {
  name: 'openvino',
  probe({ openvino: { library } }, root): Promise<Probe<OpenVinoDetail>> {
    const found = findOpenVino(library && path.resolve(root, library))
    if ('reason' in found) return Promise.resolve({ available: false, ...found })
    const addon = loadAddon('openvino')
    if ('reason' in addon) return Promise.resolve({ available: false, reason: addon.reason })
    const probe = probes.get(found.file) ?? probeLibrary(found.file)
    probes.set(found.file, probe)
    return probe
  },
  plan(model, options, found) {
    const device = deviceOf(options, found.detail.devices)
    const { performanceHint, threads } = options.openvino
    const precision = precisionOn(device, model, options.engine)
    const properties = {
      PERFORMANCE_HINT: performanceHint.toUpperCase(),
      INFERENCE_PRECISION_HINT: precision.hint,
      ...(threads !== undefined && { INFERENCE_NUM_THREADS: String(threads) }),
    }
    refuseBindings(model)
    const plan = planOf({ device, properties, shapes: boundsOf(model, options), found })
    return [{ ...plan, lowering: precision.lowering, notes: notesOf(model, options.engine, device) }]
  },
  knownWrong: async () => (await import('./known-wrong.ts')).knownWrong,
}

const probes = new Map<string, Promise<Probe<OpenVinoDetail>>>()

async function probeLibrary(library: string): Promise<Probe<OpenVinoDetail>> {
  const script = new URL('./probe.js', import.meta.url)
  const probed = await probeInChild<{ version: string; devices: readonly OpenVinoDevice[] }>(script, [library])
  if ('reason' in probed) return { available: false, reason: probed.reason }
  const { version, devices } = probed.answer
  return { available: true, version, detail: { library, devices } }
}

// Raised with each new row of known-wrong.ts: a node that is refused from now on may be in an engine of the cache.
const knownWrongVersion = 1

interface EnginePlan {
  readonly device: OpenVinoDevice
  /** OpenVINO's own names and values. */
  readonly properties: Readonly<Record<string, string>>
  readonly shapes: Readonly<Record<string, DimBounds>>
  readonly found: Available<OpenVinoDetail>
}

function planOf({ device, properties, shapes, found }: EnginePlan): Omit<BuildPlan<'openvino'>, 'lowering'> {
  const { version } = found
  const { name, fullName, capabilities, runtimeRequirements } = device
  const { platform, arch } = process
  const kind = deviceKind(name)
  return {
    label: '',
    extension: '.blob',
    facts: {
      openvino: version,
      knownWrong: knownWrongVersion,
      device: kind,
      // A CPU's blob depends on its instruction set alone, which the requirements name. Other devices state none, nor
      // does a CPU in 2026.0 and before: nothing is known of what their blobs depend on.
      ...(runtimeRequirements === '' && { deviceName: fullName, capabilities }),
      runtimeRequirements,
      properties: Object.entries(properties).map(([key, value]) => `${key}=${value}`),
      bounds: Object.entries(shapes).map(
        ([input, { min, max }]) => `${input}:${min.map((low, axis) => `${low}..${max[axis]}`).join('x')}`,
      ),
      platform,
      arch,
    },
    requires: { version, device: kind, arch, runtimeRequirements, properties },
    simplify: true,
    worker,
    settings: { library: found.detail.library, device: name, properties, shapes } satisfies OpenVinoSettings,
  }
}

function notesOf({ bindings }: Model, engine: Precision, { name, runtimeRequirements }: OpenVinoDevice): string[] {
  const isa = /isa=([^;]+)/.exec(runtimeRequirements)?.[1]
  const wide = [...bindings.inputs, ...bindings.outputs].find(({ dtype }) => dtype === 'float64')
  return [
    ...(isa ? [`the OpenVINO engine runs only on CPUs with ${isa}, as this one`] : []),
    ...(engine === 'bf16' && name === 'CPU' && !/AMX/i.test(runtimeRequirements)
      ? ['bf16 without AMX may be slower than fp32 on this CPU: measure it']
      : []),
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

/** How a device computes: OpenVINO's hint, and what is done to the graph before. */
interface DevicePrecision {
  readonly hint: 'f32' | 'f16' | 'bf16'
  readonly lowering: Lowering
  /** A capability of the device, in OpenVINO's terms. */
  readonly needs: string
}

type DevicePrecisions = Partial<Record<Precision, DevicePrecision>>

// Where floats of a lowered graph are computed.
const cpuFloats = { hint: 'f32', needs: 'FP32' } as const

const deviceFloats = { hint: 'f16', needs: 'FP16' } as const

// No fp16: with the hint f16 OpenVINO 2026.4.1 took twice the time of f32 on the OCR detector and was off by 1.0, on a
// CPU that has fp16 instructions; weights that are stored in fp16 it unfolds to fp32 when it compiles, which leaves
// nothing but their rounding.
const onCpu: DevicePrecisions = {
  fp32: { ...cpuFloats, lowering: 'none' },
  bf16: { hint: 'bf16', needs: 'BF16', lowering: 'none' },
  int8: { ...cpuFloats, lowering: 'compute' },
  'int8-weights': { ...cpuFloats, lowering: 'storage' },
  'int4-weights': { ...cpuFloats, lowering: 'storage' },
}

const onOthers: DevicePrecisions = {
  fp32: { hint: 'f32', needs: 'FP32', lowering: 'none' },
  bf16: { hint: 'bf16', needs: 'BF16', lowering: 'none' },
  fp16: { ...deviceFloats, lowering: 'none' },
  int8: { ...deviceFloats, lowering: 'compute' },
  'int8-weights': { ...deviceFloats, lowering: 'storage' },
  'int4-weights': { ...deviceFloats, lowering: 'storage' },
}

function precisionOn(device: OpenVinoDevice, { file }: Model, engine: Precision): DevicePrecision {
  const capabilities = device.capabilities.split(' ')
  const table = deviceKind(device.name) === 'CPU' ? onCpu : onOthers
  const precision = table[engine]
  if (precision && capabilities.includes(precision.needs)) return precision
  const possible = Object.entries(table).flatMap(([name, { needs }]) => (capabilities.includes(needs) ? [name] : []))
  throw new OnnxEngineError(
    'PRECISION_UNSUPPORTED',
    `${file}: engine=${engine} with openvino on ${device.name} (${device.fullName})`,
    {
      expected: possible.join(' or '),
      received: engine,
      hint: `Import the model with ?engine=${possible[0] ?? 'fp32'}`,
    },
  )
}

function refuseBindings({ file, bindings }: Model): void {
  const refuse = ({ name }: Binding, expected: string, received: string): never => {
    throw new OnnxEngineError('MODEL_UNSUPPORTED', `${file}: binding '${name}' with openvino`, { expected, received })
  }
  for (const binding of [...bindings.inputs, ...bindings.outputs])
    if (binding.dtype === 'string') refuse(binding, 'a numeric dtype', 'string')
  // OpenVINO leaves such an input out of the engine. A dynamic dim may be 0.
  for (const input of bindings.inputs)
    if (input.dims?.includes(0)) refuse(input, 'dims above 0, or dynamic ones', `a dim that is always 0`)
}

/**
 * Bounds for each input of which a dim is fixed or has a profile; several profiles become the range that covers them
 * all.
 */
function boundsOf({ bindings: { inputs } }: Model, options: CompileOptions): Readonly<Record<string, DimBounds>> {
  const { shapes } = options
  const profiles = listedProfiles(options)
  const named = namedDims(inputs, shapes)
  return byName(
    inputs.flatMap((input): [string, DimBounds][] => {
      const fixed = dimsOf(shapes, input.name)
      const bounds = fixed ? { min: fixed, max: fixed } : (profiled(input.name, profiles) ?? partlyFixed(input, named))
      // A scalar has nothing to fix, and OpenVINO's C API takes no shape of rank 0.
      return bounds && bounds.min.length > 0 ? [[input.name, bounds]] : []
    }),
  )
}

function profiled(input: string, profiles: readonly Profile[]): DimBounds | undefined {
  const min = across(
    Math.min,
    profiles.map((profile) => dimsOf(profile.min, input)),
  )
  const max = across(
    Math.max,
    profiles.map((profile) => dimsOf(profile.max, input)),
  )
  return min && max && { min, max }
}

function across(
  pick: (...values: number[]) => number,
  lists: readonly (readonly number[] | undefined)[],
): number[] | undefined {
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

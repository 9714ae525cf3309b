import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openvino } from '../../plugin/backend/openvino/backend.ts'
import type { Model } from '../../plugin/onnx/model.ts'
import { compileOptions, resolveOptions } from '../../plugin/options/resolve.ts'
import type { Options } from '../../plugin/options/types.ts'
import { findLibrary } from '../../runtime/library.ts'
import { findOpenVino } from '../../runtime/openvino/library.ts'
import { tempFolder } from '../support/helpers.ts'

// The CPUs are recorded probes, the second one of an emulated Haswell; the GPU is made up in the same form.
const cpu = {
  name: 'CPU',
  fullName: 'Intel(R) Xeon(R) Processor',
  capabilities: 'BF16 WINOGRAD FP32 FP16 INT8 BIN EXPORT_IMPORT',
  runtimeRequirements: 'meta=1.0;ov=2026.4.1;isa=Intel AVX 10.1',
}
const haswell = {
  ...cpu,
  capabilities: 'FP32 INT8 BIN EXPORT_IMPORT',
  runtimeRequirements: 'meta=1.0;ov=2026.4.1;isa=Intel AVX2',
}
const gpu = {
  name: 'GPU',
  fullName: 'Intel(R) Arc(TM) A770 Graphics (dGPU)',
  capabilities: 'FP32 BIN FP16 INT8 GPU_HW_MATMUL EXPORT_IMPORT',
  runtimeRequirements: '',
}

const model: Model = {
  file: '/app/m.onnx',
  size: 0,
  irVersion: 8,
  opsets: { '': 17 },
  bindings: {
    inputs: [
      { name: 'x', dtype: 'float32', dims: ['n', 3, null] },
      { name: 'mask', dtype: 'float64', dims: ['n'] },
      { name: 'scale', dtype: 'float32', dims: [] },
    ],
    outputs: [{ name: 'y', dtype: 'float32', dims: ['n'] }],
  },
  external: [],
}

function plan(options: Options = {}, devices = [cpu], version = '2026.4.1-22982-e213a147257-releases/2026/4') {
  const resolved = compileOptions(resolveOptions(options, '/app'), { file: '/app/m.onnx', query: {} })
  const [only] = openvino.plan(model, resolved, {
    available: true,
    version,
    detail: { library: '/lib/libopenvino_c.so', devices },
  })
  return only!
}

describe('plan of an OpenVINO engine', () => {
  it('a plan requires the release, the device and the instruction set that OpenVINO found', () => {
    expect(plan().requires).toEqual({
      version: '2026.4.1-22982-e213a147257-releases/2026/4',
      device: 'CPU',
      arch: process.arch,
      runtimeRequirements: 'meta=1.0;ov=2026.4.1;isa=Intel AVX 10.1',
      properties: { PERFORMANCE_HINT: 'LATENCY', INFERENCE_PRECISION_HINT: 'f32' },
    })
  })

  it.each<[string, Options, Parameters<typeof plan>[1]?, string?]>([
    ['another build of the library', {}, [cpu], '2026.4.1-23000-custom'],
    ['another instruction set', {}, [haswell]],
    ['another precision', { engine: 'bf16' }],
    ['another hint', { openvino: { performanceHint: 'throughput' } }],
    ['another number of threads', { openvino: { threads: 1 } }],
    ['another device', { openvino: { device: 'GPU' } }, [cpu, gpu]],
    ['fixed dims', { shapes: { x: [1, 3, 4] } }],
    ['a profile', { profiles: [{ min: { x: [1, 3, 4] }, opt: { x: [1, 3, 4] }, max: { x: [2, 3, 4] } }] }],
  ])('%s gives another key', (_, options, devices, version) => {
    expect(plan(options, devices, version).facts).not.toEqual(plan().facts)
  })

  it('another CPU with the same instruction set, or another place of the library, gives the same key', () => {
    expect(plan({}, [{ ...cpu, fullName: 'AMD EPYC 9B14' }]).facts).toEqual(plan().facts)
    expect(JSON.stringify(plan().facts)).not.toContain('/lib')
  })

  it('another device gives another key when the release states no requirements', () => {
    const silent = { ...cpu, runtimeRequirements: '' }
    expect(plan({}, [{ ...silent, fullName: 'AMD EPYC 9B14' }]).facts).not.toEqual(plan({}, [silent]).facts)
  })

  it.each<[string, Options, unknown]>([
    ['nothing is known', {}, {}],
    [
      'one input is fixed, and with it the dims of its names',
      { shapes: { x: [2, 3, 4] } },
      { x: { min: [2, 3, 4], max: [2, 3, 4] }, mask: { min: [2], max: [2] } },
    ],
    ['a scalar has no dims to fix', { shapes: { scale: [] } }, {}],
    [
      'there are several profiles: one range covers them',
      {
        profiles: [
          { min: { x: [1, 3, 4] }, opt: { x: [1, 3, 4] }, max: { x: [2, 3, 9] } },
          { min: { x: [4, 3, 2] }, opt: { x: [4, 3, 2] }, max: { x: [8, 3, 2] } },
        ],
      },
      { x: { min: [1, 3, 2], max: [8, 3, 9] } },
    ],
  ])('dims are bounded when %s', (_, options, shapes) => {
    expect(plan(options).settings['shapes']).toEqual(shapes)
  })

  it.each([
    ['fp32', cpu, 'f32', 'none'],
    ['bf16', cpu, 'bf16', 'none'],
    ['int8', cpu, 'f32', 'compute'],
    ['int8-weights', cpu, 'f32', 'storage'],
    ['int4-weights', cpu, 'f32', 'storage'],
    ['fp32', gpu, 'f32', 'none'],
    ['fp16', gpu, 'f16', 'none'],
    ['int8', gpu, 'f16', 'compute'],
  ] as const)('%s on %o has the hint %s and the lowering %s', (engine, device, hint, lowering) => {
    const { requires, ...rest } = plan({ engine, openvino: { device: device.name } }, [device])
    expect({ hint: requires.properties['INFERENCE_PRECISION_HINT'], lowering: rest.lowering }).toEqual({
      hint,
      lowering,
    })
  })

  it('bf16 without AMX gives a warning that it may be slow', () => {
    const amx = { ...cpu, runtimeRequirements: `${cpu.runtimeRequirements} with Intel AMX` }
    expect(plan({ engine: 'bf16' }).notes).toContain('bf16 without AMX may be slower than fp32 on this CPU: measure it')
    expect(plan({ engine: 'bf16' }, [amx]).notes).not.toContain(
      'bf16 without AMX may be slower than fp32 on this CPU: measure it',
    )
  })

  it('a plan has notes for the user', () => {
    expect(plan().notes).toEqual([
      'the OpenVINO engine runs only on CPUs with Intel AVX 10.1, as this one',
      `OpenVINO computes float64 in fp32, as for binding 'mask'`,
    ])
  })

  it.each<[string, { options: Options; devices: Parameters<typeof plan>[1]; code: string; message: string }]>([
    [
      'bf16 on a CPU without it',
      {
        options: { engine: 'bf16' },
        devices: [haswell],
        code: 'PRECISION_UNSUPPORTED',
        message:
          '/app/m.onnx: engine=bf16 with openvino on CPU (Intel(R) Xeon(R) Processor): expected fp32 ' +
          'or int8 or int8-weights or int4-weights, received bf16. Import the model with ?engine=fp32',
      },
    ],
    [
      'fp16 on a CPU',
      {
        options: { engine: 'fp16' },
        devices: [cpu],
        code: 'PRECISION_UNSUPPORTED',
        message:
          '/app/m.onnx: engine=fp16 with openvino on CPU (Intel(R) Xeon(R) Processor): expected fp32 ' +
          'or bf16 or int8 or int8-weights or int4-weights, received fp16. Import the model with ?engine=fp32',
      },
    ],
    [
      'a device that is not there',
      {
        options: { openvino: { device: 'NPU' } },
        devices: [cpu, gpu],
        code: 'BACKEND_UNAVAILABLE',
        message:
          `openvino: option openvino.device: expected 'CPU' or 'GPU', received 'NPU'. OpenVINO finds ` +
          'no such device here: check its driver, or choose another',
      },
    ],
    [
      'a second GPU of one',
      {
        options: { openvino: { device: 'GPU.1' } },
        devices: [cpu, gpu],
        code: 'BACKEND_UNAVAILABLE',
        message:
          `openvino: option openvino.device: expected 'CPU' or 'GPU', received 'GPU.1'. OpenVINO finds ` +
          'no such device here: check its driver, or choose another',
      },
    ],
  ])('%s is refused', (_, { options, devices, code, message }) => {
    expect(() => plan(options, devices)).toThrow(expect.objectContaining({ code, message }))
  })
})

describe('search for the OpenVINO library', () => {
  it('a place that the user named ends the search, and the error lists every place', () => {
    const empty = tempFolder()
    expect(findOpenVino(empty)).toMatchObject({
      tried: `the option openvino.library (${empty})`,
      hint: expect.stringContaining('unplugin-onnx setup openvino'),
    })
    const found = findLibrary({ file: /^nothing$/, folders: [] }, [
      { name: 'A', path: undefined, explicit: true },
      { name: 'B', path: join(empty, 'none') },
      { name: 'C', path: empty },
    ])
    expect(found).toEqual({ tried: `A (not set), B (${join(empty, 'none')}), C (${empty})` })
  })
})

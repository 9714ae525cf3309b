import { OnnxEngineError } from '../../../runtime/errors.ts'
import type { Precision } from '../../../runtime/manifest.ts'
import { findPackage, ownFolder, packageVersion } from '../../files/find-package.ts'
import type { Model } from '../../onnx/model.ts'
import { fixesDims } from '../../options/engine-bindings.ts'
import type { CompileOptions, ProbeOptions } from '../../options/schema.ts'
import type { Backend, BuildPlan, Lowering, Probe } from '../contract.ts'
import { onnxruntime, type OnnxruntimeDetail } from '../onnxruntime/backend.ts'
import type { OnnxruntimeSettings } from '../onnxruntime/compile.ts'

// The engines of pages. onnxruntime-web runs what the ONNX Runtime of Node.js writes: both are one code base, compiled
// for another processor.

const webPackage = 'onnxruntime-web'

type WebPlan<B extends 'wasm' | 'webgpu'> = Omit<BuildPlan<B>, 'label' | 'extension' | 'fixDims'>

/**
 * ONNX Runtime in WebAssembly: the graph is optimised offline, but never laid out for a CPU, because onnxruntime-web
 * has no blocked layout.
 */
export const wasm: Backend<'wasm', OnnxruntimeDetail> = {
  name: 'wasm',
  probe: (options, root) => probe(options, root, true),
  plan(model, options, found) {
    refuseBfloat16(model, options)
    const lowering = wasmLowerings[options.engine]
    const wanted = options.onnxruntime.optimization
    const level = wanted === 'all' ? 'extended' : wanted
    // Stored weights are unfolded in the page: folded here, they would be as long as those of fp32.
    const format = lowering === 'none' ? 'ORT' : 'ONNX'
    const disabled = lowering === 'none' ? [] : ['ConstantFolding']
    const settings: OnnxruntimeSettings = { module: found.detail.module, level, format, disabled, large: false }
    const plan: WebPlan<'wasm'> = {
      facts: { onnxruntime: found.version, level, format, provider: 'wasm' },
      requires: { version: found.version },
      lowering,
      worker: new URL('../onnxruntime/compile.js', import.meta.url),
      settings,
    }
    const extension = format === 'ORT' ? '.ort' : '.onnx'
    return [{ ...plan, label: '', extension, fixDims: fixesDimsOf(model, options) }]
  },
}

/**
 * ONNX Runtime on WebGPU, which optimises the graph when it is loaded: one that was saved for the CPU runs slower there
 * or not at all. The engine is the model itself in one file.
 */
export const webgpu: Backend<'webgpu', OnnxruntimeDetail> = {
  name: 'webgpu',
  // In Node.js, onnxruntime-node runs it as well.
  probe: (options, root) => probe(options, root, false),
  plan(model, options, found) {
    refuseBfloat16(model, options)
    const lowering = webgpuLowerings[options.engine]
    if (lowering === undefined)
      throw new OnnxEngineError('PRECISION_UNSUPPORTED', `${model.file}: engine=${options.engine} with webgpu`, {
        expected: Object.keys(webgpuLowerings).join(', '),
        received: options.engine,
        hint: 'Import the model with ?engine=fp16',
      })
    const shaderF16 = options.engine === 'fp16'
    const plan: WebPlan<'webgpu'> = {
      facts: { onnxruntime: found.version, format: 'ONNX', provider: 'webgpu' },
      requires: { version: found.version, ...(shaderF16 && { shaderF16 }) },
      lowering,
      worker: new URL('./one-file.js', import.meta.url),
      settings: {},
    }
    return [{ ...plan, label: '', extension: '.onnx', fixDims: fixesDimsOf(model, options) }]
  },
}

// The CPU's kernels compute in fp32. Without a placement of its own, int8 stores weights and computes in fp32, too.
const wasmLowerings = {
  fp32: 'none',
  fp16: 'storage',
  bf16: 'storage',
  int8: 'compute',
  'int8-weights': 'storage',
  'int4-weights': 'storage',
} as const satisfies Record<Precision, Lowering>

const webgpuLowerings: Readonly<Partial<Record<Precision, Lowering>>> = {
  fp32: 'none',
  fp16: 'compute',
  int8: 'compute',
  'int8-weights': 'storage',
  'int4-weights': 'storage',
}

async function probe(options: ProbeOptions, root: string, isForPages: boolean): Promise<Probe<OnnxruntimeDetail>> {
  const folder = findPackage(webPackage, root, ownFolder)
  if (folder === undefined && isForPages)
    return { available: false, reason: `${webPackage} is not installed`, hint: `npm install ${webPackage}` }
  const found = await onnxruntime.probe(options, root)
  if (folder === undefined) return found
  const version = packageVersion(folder)
  if (!found.available || isAsNew(version, found.version)) return found
  return {
    available: false,
    reason: `${webPackage} ${version} is older than onnxruntime-node ${found.version}, which writes engines`,
    hint: `npm install ${webPackage}@${found.version}`,
  }
}

/** Whether a version reads what the other one writes: the same major version, and no older. */
function isAsNew(version: string, writer: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [writerMajor = 0, writerMinor = 0] = writer.split('.').map(Number)
  return major === writerMajor && minor >= writerMinor
}

function fixesDimsOf({ bindings }: Model, { shapes }: CompileOptions): boolean {
  return fixesDims(bindings.inputs, shapes)
}

// Tensors in JavaScript have no such dtype.
function refuseBfloat16({ file, bindings }: Model, { precision }: CompileOptions): void {
  const all = [...bindings.inputs, ...bindings.outputs]
  if (precision.io !== 'bf16' && all.every(({ dtype }) => dtype !== 'bfloat16')) return
  throw new OnnxEngineError('PRECISION_UNSUPPORTED', `${file}: bfloat16 inputs or outputs in a page`, {
    expected: 'another dtype',
    received: 'bfloat16',
    hint: 'Leave io out, or use ?engine=fp16&io=fp16',
  })
}

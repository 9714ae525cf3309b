import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { OnnxEngineError } from '../../../runtime/errors.ts'
import type { Precision } from '../../../runtime/manifest.ts'
import { blockedLayout, saturatesInt8 } from '../../../runtime/onnxruntime/cpu.ts'
import type { Model } from '../../onnx/model.ts'
import { fixesDims } from '../../options/engine-bindings.ts'
import type { OptimizationLevel } from '../../options/resolve.ts'
import type { Backend, Probe, Lowering, BuildPlan } from '../contract.ts'
import type { OnnxruntimeSettings } from './compile.ts'

const peer = 'onnxruntime-node'

const worker = new URL('./compile.js', import.meta.url)

/**
 * ONNX Runtime on the CPU: the graph is optimised offline. Level `all` lays convolution weights out for the CPU at hand
 * (1.4 times faster than `extended` on mobile nets) and runs on CPUs of that kind only, so a portable engine goes with
 * it: an optimised ONNX file, laid out when it is loaded.
 */
export const onnxruntime: Backend<'onnxruntime'> = {
  name: 'onnxruntime',
  async probe(_options, root): Promise<Probe> {
    const found = findPeer(root)
    if (!found) return { available: false, reason: `${peer} is not installed`, hint: `npm install ${peer}` }
    return { available: true, version: found.version, detail: { module: found.module } }
  },
  plan(model, options, probe) {
    const { optimization: level, portable } = options.onnxruntime
    if (options.precision.io === 'bf16') throw noBfloat16(model)
    const layout = level === 'all' ? blockedLayout() : 0
    // Without it weights have 7 bits, which any CPU adds up: see the pass of int8.
    const vnni = options.engine === 'int8' && layout !== 0 && !saturatesInt8()
    const tuned = { level, layout, format: 'ORT', label: '', vnni } as const
    // An ONNX file would go on pointing to the model's external data; the .ort format takes it in.
    const format = model.external.length > 0 ? 'ORT' : 'ONNX'
    const fallback = { level: 'extended', layout: 0, format, label: 'portable' } as const
    const lowering = lowerings[options.engine]
    const kinds =
      lowering === 'storage'
        ? ([{ ...stored, level: level === 'all' ? 'extended' : level }] as const)
        : level !== 'all'
          ? [tuned]
          : layout === 0
            ? [fallback]
            : portable
              ? [tuned, fallback]
              : [tuned]
    // ONNX Runtime itself fixes only dims that have a name, and leaves them open in the graph that it saves.
    const fixDims = fixesDims(model.bindings.inputs, options.shapes)
    return kinds.map((kind) => ({ ...planOf(kind, probe), lowering, fixDims }))
  },
}

// Its tensors in JavaScript have no such dtype.
function noBfloat16({ file }: Model): OnnxEngineError {
  return new OnnxEngineError('PRECISION_UNSUPPORTED', `${file}: io=bf16 with onnxruntime`, {
    expected: 'fp32',
    received: 'bf16',
    hint: 'Leave io out, or use ?engine=fp16&io=fp16',
  })
}

// ONNX Runtime has few fp16 and no bf16 kernels for the CPU, and casts around every node that has none.
const lowerings = {
  fp32: 'none',
  fp16: 'storage',
  bf16: 'storage',
  int8: 'compute',
  'int8-weights': 'storage',
} as const satisfies Record<Precision, Lowering>

// Weights that are stored in 16 bits are unfolded when the engine is loaded, which takes a file that is optimised then:
// folded when it is made, they would be stored in 32.
const stored = { layout: 0, format: 'ONNX', label: '', disabled: ['ConstantFolding'] } as const

interface EngineKind {
  readonly level: OptimizationLevel
  readonly layout: 0 | 8 | 16
  readonly format: 'ORT' | 'ONNX'
  readonly label: string
  readonly disabled?: readonly string[]
  /** Whether it is an int8 engine that only CPUs with VNNI compute right. */
  readonly vnni?: boolean
}

function planOf(
  kind: EngineKind,
  probe: Extract<Probe, { available: true }>,
): Omit<BuildPlan<'onnxruntime'>, 'lowering'> {
  const arch = kind.layout === 0 ? 'any' : process.arch
  const { level, format, layout, label, disabled = [], vnni } = kind
  return {
    label,
    extension: format === 'ORT' ? '.ort' : '.onnx',
    facts: { onnxruntime: probe.version, level, format, arch, layout, ...(vnni && { vnni }), provider: 'cpu' },
    requires: { version: probe.version, arch, layout, ...(vnni && { vnni }) },
    worker,
    settings: { module: probe.detail['module'], level, format, disabled } satisfies Record<
      keyof OnnxruntimeSettings,
      unknown
    >,
  }
}

// The app's own copy comes first, so that build and run use one version; ours is the peer that the app's package
// manager chose.
function findPeer(root: string): { module: string; version: string } | undefined {
  for (const from of [pathToFileURL(join(root, 'package.json')), import.meta.url]) {
    try {
      const require = createRequire(from)
      const { version } = JSON.parse(readFileSync(require.resolve(`${peer}/package.json`), 'utf8')) as {
        version: string
      }
      return { module: pathToFileURL(require.resolve(peer)).href, version }
    } catch {
      // Not installed from here: the next place is asked.
    }
  }
  return undefined
}

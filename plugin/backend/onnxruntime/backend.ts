import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Precision } from '../../../runtime/manifest.ts'
import { blockedLayout, saturatesInt8 } from '../../../runtime/onnxruntime/cpu.ts'
import { modelBytes } from '../../onnx/size.ts'
import type { OptimizationLevel } from '../../options/backend-types.ts'
import { fixesDims } from '../../options/engine-bindings.ts'
import type { ProbeOptions } from '../../options/schema.ts'
import type { Available, Backend, BuildPlan, Lowering, Probe } from '../contract.ts'
import type { OnnxruntimeSettings } from './compile.ts'

const peer = 'onnxruntime-node'

const worker = new URL('./compile.js', import.meta.url)

/** The user's copy of onnxruntime-node. */
export interface OnnxruntimeDetail {
  /** File URL of its module. */
  readonly module: string
}

/**
 * ONNX Runtime on the CPU: the graph is optimised offline. Level `all` lays convolution weights out for the CPU at hand
 * (1.4 times faster than `extended` on mobile nets) and runs on CPUs of that kind only, so a portable engine goes with
 * it: an optimised ONNX file, laid out when it is loaded.
 */
export const onnxruntime: Backend<'onnxruntime', OnnxruntimeDetail> = {
  name: 'onnxruntime',
  // Once for a compilation, which has one object of options: all that it measures must come from one version.
  probe(options, root): Promise<Probe<OnnxruntimeDetail>> {
    const probe = probes.get(options) ?? Promise.resolve(probePeer(root))
    probes.set(options, probe)
    return probe
  },
  plan(model, options, found) {
    const { optimization: level, portable } = options.onnxruntime
    const layout = level === 'all' ? blockedLayout() : 0
    // Without it weights have 7 bits, which any CPU adds up: see the pass of int8.
    const vnni = options.engine === 'int8' && layout !== 0 && !saturatesInt8()
    const tuned = { level, layout, format: 'ORT', label: '', vnni } as const
    // An ONNX file would go on pointing to the model's external data; the .ort format takes it in.
    const format = model.external.length > 0 ? 'ORT' : 'ONNX'
    const fallback = { level: 'extended', layout: 0, format, label: 'portable' } as const
    const lowering = lowerings[options.engine]
    // ONNX Runtime itself fixes only dims that have a name, and leaves them open in the graph that it saves.
    const fixDims = fixesDims(model.bindings.inputs, options.shapes)
    const large = modelBytes(model) > longestModel
    const kinds = engineKinds({ lowering, level, portable, tuned, fallback, large })
    return kinds.map((kind) => ({ ...planOf(kind, found), lowering, fixDims }))
  },
}

/**
 * Bytes of a model above which its engine has the weights behind it: neither protobuf nor the .ort format holds 2 GiB,
 * and optimisations add some.
 */
const longestModel = 2 ** 31 - 2 ** 27

const probes = new WeakMap<ProbeOptions, Promise<Probe<OnnxruntimeDetail>>>()

function probePeer(root: string): Probe<OnnxruntimeDetail> {
  const found = findPeer(root)
  if (!found) return { available: false, reason: `${peer} is not installed`, hint: `npm install ${peer}` }
  return { available: true, version: found.version, detail: { module: found.module } }
}

// ONNX Runtime has few fp16 and no bf16 kernels for the CPU, and casts around every node that has none.
const lowerings = {
  fp32: 'none',
  fp16: 'storage',
  bf16: 'storage',
  int8: 'compute',
  'int8-weights': 'storage',
  'int4-weights': 'storage',
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
  /** Whether the weights are behind the model: see runtime/onnxruntime/large-engine.ts. */
  readonly large?: boolean
}

interface PossibleKinds {
  readonly lowering: Lowering
  readonly level: OptimizationLevel
  /** The option that asks for a second engine, which any CPU runs. */
  readonly portable: boolean
  readonly tuned: EngineKind
  readonly fallback: EngineKind
  readonly large: boolean
}

function engineKinds({ lowering, level, portable, tuned, fallback, large }: PossibleKinds): readonly EngineKind[] {
  const everywhere = level === 'all' ? 'extended' : level
  if (lowering === 'storage') return [{ ...stored, level: everywhere, large }]
  // One engine for all CPUs: a second one would take as much disk again.
  if (large) return [{ level: everywhere, layout: 0, format: 'ONNX', label: '', large }]
  if (level !== 'all') return [tuned]
  // This CPU has no blocked layout: the tuned engine would be the portable one.
  if (tuned.layout === 0) return [fallback]
  return portable ? [tuned, fallback] : [tuned]
}

function planOf(kind: EngineKind, found: Available<OnnxruntimeDetail>): Omit<BuildPlan<'onnxruntime'>, 'lowering'> {
  const arch = kind.layout === 0 ? 'any' : process.arch
  const { level, format, layout, label, disabled = [], vnni, large = false } = kind
  return {
    label,
    extension: format === 'ORT' ? '.ort' : '.onnx',
    facts: {
      onnxruntime: found.version,
      level,
      format,
      arch,
      layout,
      ...(vnni && { vnni }),
      ...(large && { large }),
      provider: 'cpu',
    },
    requires: { version: found.version, arch, layout, ...(vnni && { vnni }) },
    worker,
    settings: { module: found.detail.module, level, format, disabled, large } satisfies OnnxruntimeSettings,
  }
}

// The app's own copy comes first, so that build and run use one version; ours is the peer that the package manager of
// the app chose.
function findPeer(root: string): { module: string; version: string } | undefined {
  for (const from of [pathToFileURL(join(root, 'package.json')), import.meta.url]) {
    try {
      const require = createRequire(from)
      const { version } = JSON.parse(readFileSync(require.resolve(`${peer}/package.json`), 'utf8')) as {
        version: string
      }
      return { module: pathToFileURL(require.resolve(peer)).href, version }
    } catch {
      // Not installed from here: try the next place.
    }
  }
  return undefined
}

import { OnnxEngineError } from '../../runtime/errors.ts'
import type { BackendName, ManifestServer } from '../../runtime/manifest.ts'
import type { WebOptions } from './backend-types.ts'
import type { BackendEntry } from './served-types.ts'
import { engineBackends, serverOf } from './served-variant.ts'

export const platforms = ['auto', 'node', 'browser'] as const
export type Platform = (typeof platforms)[number]

/** Where the code of a build runs, without the wish for WebGPU. */
export type Side = Exclude<Platform, 'auto'>

/** Where the code of a build runs, as far as backends care. */
export type BuildTarget = 'node' | 'browser' | 'browser with WebGPU'

export function targetOf(side: Side, { webgpu }: Required<Pick<WebOptions, 'webgpu'>>): BuildTarget {
  if (side === 'node') return 'node'
  return webgpu ? 'browser with WebGPU' : 'browser'
}

interface TargetBackends {
  /** The backends that `'auto'` tries, in order of preference: the CPU that needs nothing else comes last. */
  readonly automatic: readonly BackendName[]
  /** Backends that run there too, for those who name them. */
  readonly named?: readonly BackendName[]
  /** How to get an engine that runs there. */
  readonly hint: string
}

const targets: Readonly<Record<BuildTarget, TargetBackends>> = {
  node: {
    automatic: ['tensorrt', 'tensorrt-rtx', 'openvino', 'onnxruntime'],
    named: ['webgpu'],
    hint: `Add 'onnxruntime' to the backends, or build for browsers`,
  },
  browser: {
    automatic: ['wasm'],
    hint: `Add 'wasm' to the backends; 'webgpu' takes the option 'web.webgpu' besides`,
  },
  'browser with WebGPU': {
    automatic: ['webgpu', 'wasm'],
    hint: `Add 'wasm' or 'webgpu' to the backends`,
  },
}

/**
 * The backends of a build, from those that the options ask for: one configuration may serve builds for Node.js and for
 * browsers, so each takes what runs there.
 *
 * @throws OnnxEngineError UNSUPPORTED_TARGET when none of them runs there
 */
export function backendsFor(
  target: BuildTarget,
  wanted: 'auto' | readonly BackendEntry[],
  model: string,
): readonly BackendName[] {
  const { automatic, named = [], hint } = targets[target]
  if (wanted === 'auto') return automatic
  const possible = [...automatic, ...named]
  const usable = engineBackends(wanted).filter((name) => possible.includes(name))
  if (usable.length > 0 || serverFor(target, wanted)) return usable
  throw new OnnxEngineError('UNSUPPORTED_TARGET', `${model}: the backends of a build for ${placeNames[target]}`, {
    expected: `some of ${possible.join(', ')}`,
    received: wanted.map((entry) => (typeof entry === 'string' ? entry : `a server (${servers})`)).join(', '),
    hint,
  })
}

const servers = 'remote: Node.js only'

/** The server that the options of a build name, where its output can call it. */
export function serverFor(target: BuildTarget, wanted: 'auto' | readonly BackendEntry[]): ManifestServer | undefined {
  return target === 'node' ? serverOf(wanted) : undefined
}

const placeNames: Readonly<Record<BuildTarget, string>> = {
  node: 'Node.js',
  browser: 'browsers',
  'browser with WebGPU': 'browsers',
}

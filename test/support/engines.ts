import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { InferenceSession } from 'onnxruntime-node'
import { loadAddon } from '../../native/load-addon.ts'
import type { DType } from '../../runtime/dtype.ts'
import type { Binding, Dim, ModelManifest } from '../../runtime/manifest.ts'
import { onnxModel, type ModelSpec } from './models.ts'

const { version } = JSON.parse(
  readFileSync(new URL('../../node_modules/onnxruntime-node/package.json', import.meta.url), 'utf8'),
) as { version: string }

const addon = loadAddon('onnxruntime')

/** Why models of ONNX Runtime cannot run in native sessions here; undefined when they can. */
export const missingNative: string | undefined = 'reason' in addon ? addon.reason : undefined
if (missingNative) console.warn(`tests of native sessions of ONNX Runtime are skipped: ${missingNative}`)

/** Compiles a model to an `.ort` engine in `folder`, without the plugin, and gives its manifest. */
export async function ortManifest(folder: string, name: string, spec: ModelSpec): Promise<ModelManifest> {
  return ortManifestOf(folder, name, onnxModel(spec), {
    inputs: bindingsOf(spec.inputs),
    outputs: bindingsOf(spec.outputs),
  })
}

/** The same for the bytes or path of any ONNX model. */
export async function ortManifestOf(
  folder: string,
  name: string,
  model: Uint8Array | string,
  bindings: ModelManifest['bindings'],
): Promise<ModelManifest> {
  const file = join(folder, `${name}.ort`)
  const options = {
    graphOptimizationLevel: 'extended',
    optimizedModelFilePath: file,
    extra: { session: { save_model_format: 'ORT' } },
  } as const
  // onnxruntime-node has no bfloat16: such a model is its own engine.
  if (bindings.inputs.some(({ dtype }) => dtype === 'bfloat16')) writeFileSync(file, model)
  else await saveOptimized(model, options)
  return {
    schema: 1,
    name,
    bindings,
    variants: [
      {
        backend: 'onnxruntime',
        engine: 'fp32',
        file,
        ...factsOf(file),
        requires: { version, arch: process.arch, layout: 0 },
      },
    ],
  }
}

async function saveOptimized(model: Uint8Array | string, options: InferenceSession.SessionOptions): Promise<void> {
  const session = await (typeof model === 'string'
    ? InferenceSession.create(model, options)
    : InferenceSession.create(model, options))
  await session.release()
}

export function factsOf(file: string): { size: number; sha256: string } {
  const bytes = readFileSync(file)
  return { size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
}

export function bindingsOf(specs: ModelSpec['inputs'] = {}): Binding[] {
  return Object.entries(specs).map(([name, spec]) => {
    const [, dtype, dims] = /^(\w+)(?:\[(.*)\])?$/.exec(spec) ?? []
    return { name, dtype: dtype as DType, dims: dims === undefined ? null : dimsOf(dims) }
  })
}

function dimsOf(text: string): Dim[] {
  if (text === '') return []
  return text.split(',').map((dim) => {
    if (dim === '?') return null
    return /^\d+$/.test(dim) ? Number(dim) : dim
  })
}

/** y = x + x, of any number of rows. */
export const double: ModelSpec = {
  inputs: { x: 'float32[n,2]' },
  outputs: { y: 'float32[n,2]' },
  nodes: [{ op: 'Add', inputs: ['x', 'x'], outputs: ['y'] }],
}

/** An input of `double`, which makes [2, 4] of it. */
export const pair = { data: Float32Array.of(1, 2), dims: [1, 2] }

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ort from 'onnxruntime-node'
import type { Options } from 'unplugin-onnx'
import { openStore } from '../../plugin/cache/store.ts'
import { type EditableModel, indexScope, loadGraph, scopesOf } from '../../plugin/onnx/graph.ts'
import { readModel } from '../../plugin/onnx/model.ts'
import { writeGraph } from '../../plugin/onnx/write.ts'
import { compileOptions, resolveOptions } from '../../plugin/options/resolve.ts'
import { int8Pass } from '../../plugin/precision/int8/pass.ts'
import type { PassRequest } from '../../plugin/precision/pass.ts'
import type { BackendName } from '../../runtime/manifest.ts'
import type { TensorSpec } from './models.ts'
import { normal, npy } from './samples.ts'

/** Weights that look like a normal distribution. */
export function floats(dims: readonly number[], seed: number, scale = 1): TensorSpec {
  return {
    dtype: 'float32',
    dims,
    data: new Uint8Array(normal(count(dims), seed).map((value) => value * scale).buffer),
  }
}

/** Writes sample0.npy and so on. */
export function writeSamples(folder: string, number: number, dims: readonly number[]): void {
  for (let index = 0; index < number; index++)
    writeFileSync(join(folder, `sample${index}.npy`), npy(dims, normal(count(dims), 100 + index)))
}

/** Runs a model or engine file in ONNX Runtime on one input that was no sample. */
export async function runOnce(file: string, dims: readonly number[], format = 'ONNX'): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(readFileSync(file), {
    logSeverityLevel: 3,
    extra: { session: { load_model_format: format } },
  })
  const x = new ort.Tensor('float32', normal(count(dims), 999), dims)
  const results = await session.run({ [session.inputNames[0]!]: x })
  await session.release()
  return results[session.outputNames[0]!]!.data as Float32Array
}

export interface LoweredGraph {
  readonly graph: EditableModel
  /** The file that it was read back from. */
  readonly out: string
  readonly lowered: Awaited<ReturnType<typeof int8Pass.lower>>
}

export function ignore(): void {}

/** What a build asks the pass for, with the samples in the folder. */
export async function int8Request(
  folder: string,
  file: string,
  backend: BackendName,
  options: Options = {},
): Promise<PassRequest> {
  const resolved = resolveOptions(
    { calibration: 'sample*.npy', cache: { dir: join(folder, 'cache') }, ...options },
    folder,
  )
  return {
    name: 'm',
    model: await readModel(file),
    options: compileOptions(resolved, { file, query: {} }),
    backend,
    label: '',
    lowering: 'compute',
    root: folder,
    store: openStore({ ...resolved.cache, warn: ignore }),
    log: ignore,
    warn: ignore,
  }
}

/** The graph that the pass makes for a backend from the samples in the folder, read back from its file. */
export async function lowerToInt8(
  folder: string,
  file: string,
  backend: BackendName,
  options: Options = {},
): Promise<LoweredGraph> {
  const graph = await loadGraph(file)
  const lowered = await int8Pass.lower(graph, await int8Request(folder, file, backend, options))
  const out = join(folder, `${backend}.onnx`)
  await writeGraph(graph, out)
  return { graph: await loadGraph(out), out, lowered }
}

/** Which inputs of a node come from DequantizeLinear. */
export function dequantized(graph: EditableModel, name: string): boolean[] {
  const scope = scopesOf(graph)[0]!
  const { producers } = indexScope(scope)
  return scope.graph.node
    .find((node) => node.name === name)!
    .input.map((input) => producers.get(input)?.opType === 'DequantizeLinear')
}

function count(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1)
}

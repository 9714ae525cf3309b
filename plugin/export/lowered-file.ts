import { existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Bindings } from '../../runtime/manifest.ts'
import type { Lowering } from '../backend/contract.ts'
import type { Store } from '../cache/store.ts'
import { precisionPass } from '../compile/passes.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { editBindings } from '../onnx/edit-bindings.ts'
import { fixGraph } from '../onnx/fix-graph.ts'
import { loadGraph } from '../onnx/graph.ts'
import { readModel } from '../onnx/model.ts'
import { writeGraph } from '../onnx/write.ts'
import { checkShapes } from '../options/check-shapes.ts'
import { checkIo, engineBindings } from '../options/engine-bindings.ts'
import type { CompileOptions } from '../options/schema.ts'
import { selectBindings } from '../options/select-bindings.ts'
import { widenIo } from '../precision/io.ts'
import type { TritonBackend } from './triton-config.ts'
import { verifyFile } from './verify-file.ts'

/** A model to write as an .onnx file of its precision. */
export interface LoweredFileRequest {
  /** Absolute path of the model. */
  readonly file: string
  readonly options: CompileOptions
  readonly root: string
  /** What will run it: the rules of int8 depend on it. */
  readonly backend: TritonBackend
  /** Whether a GPU runs it: it computes in 16 bits, a CPU only stores them. */
  readonly gpu: boolean
  readonly store: Store
  readonly log: (line: string) => void
  readonly warn: (line: string) => void
}

/**
 * Writes the model in the precision of the options into `output`, with the fixed dims of `shapes`, and its weights
 * inside it or, above 2 GB, next to it. A lower precision is compared with the fp32 model first: a file that was there
 * stays when the new one is too far. Rejects as a build does: MODEL_INVALID, PRECISION_UNSUPPORTED, SAMPLES_INVALID,
 * VERIFICATION_FAILED and others.
 */
export async function writeLoweredFile(request: LoweredFileRequest, output: string): Promise<Bindings> {
  const { file, options, backend } = request
  const name = basename(file).replace(/\.onnx$/i, '')
  const read = await readModel(file)
  // A server takes defaults as the file has them.
  const { bindings: own, edits } = selectBindings(read, { outputs: options.outputs, optionalInputs: [] }, name)
  const model = { ...read, bindings: own }
  checkShapes(options, model.bindings, name)
  checkIo(options, name)
  const { io } = options.precision
  const pass = { ...request, name, model, label: '', lowering: loweringOf(request) }
  const lowering = await precisionPass({ model, options, backend, lowering: pass.lowering })
  const graph = await loadGraph(file)
  editBindings(graph, edits)
  if (Object.keys(options.shapes).length > 0)
    fixGraph(graph, engineBindings(model.bindings, { shapes: options.shapes, io: 'fp32' }))
  const lowered = await lowering?.lower(graph, pass)
  for (const note of lowered?.notes ?? []) request.log(`${name}: ${note}`)
  await using folder = await temporaryFolder(dirname(output))
  const written = join(folder.path, basename(output))
  await writeGraph({ ...graph, external: false }, written)
  if (options.engine !== 'fp32') {
    const compared = io === 'fp32' ? written : join(folder.path, 'compared.onnx')
    await widenIo(graph, model.bindings, io)
    if (compared !== written) await writeGraph({ ...graph, external: false }, compared)
    await verifyFile({ ...pass, pass: lowering }, compared)
  }
  // Weights before what refers to them.
  if (existsSync(`${written}.data`)) await rename(`${written}.data`, `${output}.data`)
  else await rm(`${output}.data`, { force: true })
  await rename(written, output)
  return engineBindings(model.bindings, { shapes: options.shapes, io })
}

const onCpu: Readonly<Record<CompileOptions['engine'], Lowering>> = {
  fp32: 'none',
  fp16: 'storage',
  bf16: 'storage',
  int8: 'compute',
  'int8-weights': 'storage',
  'int4-weights': 'storage',
}

function loweringOf({ options: { engine }, gpu }: LoweredFileRequest): Lowering {
  return gpu && engine !== 'fp32' ? 'compute' : onCpu[engine]
}

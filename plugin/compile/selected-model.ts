import { basename } from 'node:path'
import { importKeyOf } from '../cache/import-records.ts'
import { cacheKey, type Facts, type Pass } from '../cache/key.ts'
import type { WatchedStore } from '../cache/watched-sources.ts'
import { editsVersion, type GraphEdits } from '../onnx/graph-edits.ts'
import type { Model } from '../onnx/model.ts'
import { looseBindings } from '../options/engine-bindings.ts'
import { selectBindings } from '../options/select-bindings.ts'
import type { CompileContext, CompileRequest } from './request.ts'

/** A model as an import uses it: with the outputs and the optional inputs that the options name. */
export interface SelectedModel {
  readonly model: Model
  /** What was done to the graph of the source, for keys. */
  readonly passes: readonly Pass[]
}

/** A model as the backends get it. */
export interface SelectedModels {
  /** Name of the source file. */
  readonly file: string
  /** Its optional inputs are inputs of the graph. */
  readonly open: SelectedModel
  /** Its optional inputs have their defaults compiled in. */
  readonly fixed: SelectedModel
}

interface Job extends CompileRequest {
  readonly name: string
  /** Source facts of the key. */
  readonly source: Facts
  readonly context: CompileContext & { readonly store: WatchedStore }
}

/**
 * Applies the options `outputs`, `optionalInputs` and `dims` to a model. A graph that has to change for it is written
 * into the cache, as an engine is: the next build finds it there.
 *
 * @throws OnnxEngineError MODEL_UNSUPPORTED and OPTION_INVALID
 */
export async function selectModel(read: Model, job: Job): Promise<SelectedModels> {
  const { options, name } = job
  const file = basename(job.file)
  const { bindings, edits } = selectBindings(read, options, name)
  const model = { ...read, bindings: options.dims === 'loose' ? looseBindings(bindings) : bindings }
  if (edits.inputs.length === 0) {
    const selected = await editedModel(model, edits, job)
    return { file, open: selected, fixed: selected }
  }
  const { readDefaults } = await import('../onnx/edit-bindings.ts')
  const defaults = await readDefaults(read.file, edits.inputs)
  const inputs = model.bindings.inputs.map((input) => {
    const value = defaults.get(input.name)
    return value ? { ...input, default: value } : input
  })
  const required = inputs.filter((input) => !input.optional)
  const fixed = { ...model, bindings: { ...model.bindings, inputs: required } }
  return {
    file,
    open: await editedModel({ ...model, bindings: { ...model.bindings, inputs } }, edits, job),
    fixed: await editedModel(fixed, { ...edits, inputs: [] }, job),
  }
}

async function editedModel(model: Model, edits: GraphEdits, job: Job): Promise<SelectedModel> {
  if (edits.outputs.length === 0 && edits.inputs.length === 0) return { model, passes: [] }
  const { query, root, name, source, context } = job
  const pass = { name: 'edit-bindings', version: editsVersion, options: { ...edits } }
  const key = cacheKey({ ...source, edits: JSON.stringify(pass) })
  const stored = await context.store.getOrBuild(
    { key, importKey: importKeyOf(root, job.file, query, 'edited model'), label: name, signal: context.signal },
    async (output) => {
      const { writeEdited } = await import('../onnx/edit-bindings.ts')
      await writeEdited(model.file, edits, output)
    },
  )
  const { artifact } = stored
  return { model: { ...model, file: artifact.file, size: artifact.size, external: [] }, passes: [pass] }
}

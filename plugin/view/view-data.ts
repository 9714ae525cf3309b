import { stat } from 'node:fs/promises'
import { basename, relative, resolve } from 'node:path'
import { glob } from 'tinyglobby'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { readModel } from '../onnx/model.ts'
import type { ResolvedOptions } from '../options/schema.ts'
import type { Options } from '../options/types.ts'
import { quoteText } from '../text.ts'
import type { EngineView, ViewData, ViewModel } from './contract.ts'
import { bundledEngines } from './data/bundled-engines.ts'
import { cachedEngines, type ModelPlace } from './data/cached-engines.ts'
import { compareEngines, compareGraphs } from './data/compare.ts'
import { describeGraph } from './data/describe-graph.ts'
import { describeNodes } from './data/describe-nodes.ts'
import { profileEngine } from './data/profile-engine.ts'
import { tensorStatistics } from './data/tensor-statistics.ts'
import { tryModel, type TryTarget } from './data/try-model.ts'

/** What a page is about. */
export interface ViewRequest {
  /** A model, or a folder whose models are shown. */
  readonly path: string
  readonly options: ResolvedOptions
  /** The options as the user wrote them, for builds. */
  readonly user: Options
  readonly isLive: boolean
}

/** A folder may be a home folder: this many models are listed. */
const mostModels = 200

/**
 * Answers of a page. Requests name models and engines by ids of these lists: no request can name a file.
 *
 * @throws OnnxEngineError MODEL_NOT_FOUND for a path that is not there
 */
export async function viewData(request: ViewRequest): Promise<ViewData> {
  await modelsOf(request)
  const engines = async () => [
    ...(await bundledEngines(request.path)),
    ...(await cachedEngines(await modelsOf(request), request.options)),
  ]
  const graphOf = async (id: string) => describeGraph(placeOf(await modelsOf(request), id).file)
  const engineOf = async (id: string) => found(await engines(), id, 'an engine')
  return {
    overview: async () => ({ models: await describeModels(request), isLive: request.isLive }),
    graph: graphOf,
    statistics: async (id, name) => tensorStatistics(placeOf(await modelsOf(request), id).file, name),
    engines,
    async nodes(id) {
      const engine = await engineOf(id)
      return describeNodes(engine, await graphOf(modelOf(engine)), request.options)
    },
    async profile(id) {
      const engine = await engineOf(id)
      const { file } = placeOf(await modelsOf(request), modelOf(engine))
      return profileEngine({ engine, graph: await describeGraph(file), file, options: request.options })
    },
    async compare(a, b) {
      if (isEngine(a) !== isEngine(b))
        throw new OnnxEngineError('QUERY_INVALID', 'a comparison', { expected: 'two models or two engines' })
      if (isEngine(a)) return compareEngines(await engineOf(a), await engineOf(b))
      return compareGraphs(await graphOf(a), await graphOf(b))
    },
    async bindings(id) {
      return (await readModel(placeOf(await modelsOf(request), id).file)).bindings
    },
    run: async (id, inputs) => tryModel(await targetOf(id, request, engineOf), inputs),
  }
}

async function targetOf(
  id: string,
  request: ViewRequest,
  engineOf: (id: string) => Promise<EngineView>,
): Promise<TryTarget> {
  const models = await modelsOf(request)
  if (!isEngine(id)) {
    const options: Options = { ...request.user, engine: 'fp32', backends: ['onnxruntime'] }
    return { file: placeOf(models, id).file, options, query: '' }
  }
  const engine = await engineOf(id)
  const { precision, backend } = engine
  const options: Options = { ...request.user, engine: precision, backends: [backend] }
  return { file: placeOf(models, modelOf(engine)).file, options, query: `?engine=${precision}` }
}

function isEngine(id: string): boolean {
  return id.startsWith('engine:')
}

function modelOf({ model, modelName, origin }: EngineView): string {
  if (model !== null) return model
  throw new OnnxEngineError('QUERY_INVALID', modelName, {
    expected: 'an engine whose model this page shows',
    received: origin === 'bundle' ? 'one of a bundle, which has no model' : 'one of another model',
    hint: 'Open the model itself with `unplugin-onnx view`',
  })
}

function placeOf(models: readonly ModelPlace[], id: string): ModelPlace {
  return found(models, id, 'a model')
}

function found<T extends { readonly id: string }>(list: readonly T[], id: string, what: string): T {
  const item = list.find((candidate) => candidate.id === id)
  if (item) return item
  throw new OnnxEngineError('QUERY_INVALID', `the id ${quoteText(id)}`, { expected: `${what} of this page` })
}

async function modelsOf({ path, options: { root } }: ViewRequest): Promise<readonly ModelPlace[]> {
  const stats = await stat(path).catch((cause: unknown) => {
    throw new OnnxEngineError('MODEL_NOT_FOUND', path, {
      expected: 'a model or a folder',
      received: 'nothing that can be read',
      cause,
    })
  })
  const files = stats.isDirectory() ? await modelFiles(path) : [resolve(path)]
  return files.map((file) => ({ id: relative(root, file) || basename(file), file }))
}

async function modelFiles(folder: string): Promise<readonly string[]> {
  const ignore = ['**/node_modules/**', '**/.*/**']
  const files = await glob('**/*.onnx', { cwd: folder, ignore, absolute: true, followSymbolicLinks: false })
  return files.sort().slice(0, mostModels)
}

async function describeModels(request: ViewRequest): Promise<readonly ViewModel[]> {
  const models = await modelsOf(request)
  return Promise.all(
    models.map(async ({ id, file }) => ({ id, name: basename(file), file: id, size: (await stat(file)).size })),
  )
}

import { basename, resolve } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Binding } from '../../runtime/manifest.ts'
import { onnxruntime } from '../backend/onnxruntime/backend.ts'
import { type DescribedBinding, describeBindings } from '../onnx/bindings.ts'
import { type Model, readModel } from '../onnx/model.ts'
import { modelBytes } from '../onnx/size.ts'
import { readSkeleton } from '../onnx/skeleton.ts'
import { checkShapes } from '../options/check-shapes.ts'
import { compileOptions, resolveOptions } from '../options/resolve.ts'
import type { CompileOptions } from '../options/schema.ts'
import { selectBindings } from '../options/select-bindings.ts'
import type { Options } from '../options/types.ts'
import type { InspectedBinding, ModelInspection, ShapeFacts } from './contract.ts'
import { headFacts, weightFacts } from './model-facts.ts'
import { costFacts } from './operator-facts.ts'
import { preflightModel } from './preflight.ts'
import { inferShapes, inputShapes, type KnownShapes } from './shapes.ts'

// inspect describes any file of this package's world. inspect-file.ts finds out what it is; this file tells the story
// of a model, engine-header.ts that of an engine, and bundle.ts that of a manifest or an output folder.

/** How a model is inspected. */
export interface InspectOptions {
  readonly options: Options
  /** Whether precisions are forecast for large models too, which reads all weights. */
  readonly deep: boolean
}

/** Models with more weights than this are not read for a forecast, unless that is asked for. */
const mostForecastBytes = 256e6

/** Tensors up to this size are read with the structure: they may be shapes. */
const inlineLength = 1024

/**
 * Describes a model without compiling it. What is broken or not supported is part of the result.
 *
 * @throws OnnxEngineError for a file that is no model, and for options that do not fit it
 */
export async function inspectModel(file: string, { options: user, deep }: InspectOptions): Promise<ModelInspection> {
  const path = resolve(file)
  const { skeleton, size } = await readSkeleton(path, inlineLength)
  const resolved = resolveOptions(user)
  const options = compileOptions(resolved, { file: path, query: {} })
  const { inputs, outputs } = describeBindings(skeleton.graph, path)
  const read = await readModel(path).catch(orProblem)
  const sound = read instanceof OnnxEngineError ? undefined : read
  if (sound) checkShapes(options, sound.bindings, nameOf(path))
  const problem = read instanceof OnnxEngineError ? read : bindingsProblem(read, options, nameOf(path))
  const isBindingsFault = [...inputs, ...outputs].some((binding) => 'problem' in binding)
  const facts = inputShapes(inputs.filter(isSound), options.shapes)
  const shapes = isBindingsFault
    ? 'some bindings are broken'
    : await shapesOf({ path, facts, options, root: resolved.root })
  const isMissing = typeof shapes === 'string'
  const mayReadWeights = deep || (sound !== undefined && modelBytes(sound) <= mostForecastBytes)
  return {
    kind: 'model',
    file: path,
    size,
    ...headFacts(skeleton),
    bindings: { inputs: inputs.map(asData), outputs: outputs.map(asData) },
    // Before IR version 4 a model lists all its weights as inputs.
    defaults: sound && sound.irVersion >= 4 ? (sound.defaults ?? []) : [],
    problems: problem ? [problem.message] : [],
    ...weightFacts(skeleton, sound),
    ...costFacts({ file: path, proto: skeleton, contents: [], external: false }, isMissing ? undefined : shapes),
    shapes: isMissing ? { ...facts, missing: shapes } : facts,
    preflight: sound && !problem ? await preflightModel(sound, resolved, mayReadWeights) : [],
  }
}

interface ShapesOf {
  readonly path: string
  readonly facts: ShapeFacts
  readonly options: CompileOptions
  readonly root: string
}

async function shapesOf({ path, facts, options, root }: ShapesOf): Promise<KnownShapes | string> {
  if (facts.open.length > 0) return 'some dims are open'
  const probe = await onnxruntime.probe(options, root)
  if (!probe.available) return `ONNX Runtime infers them: ${probe.reason}`
  const { inputs } = facts
  const inferred = await inferShapes({ name: nameOf(path), file: path, inputs, module: probe.detail.module })
  return typeof inferred === 'string' ? inferred : new Map([...inferred, ...Object.entries(inputs)])
}

function nameOf(path: string): string {
  return basename(path).replace(/\.onnx$/i, '')
}

function orProblem(error: unknown): OnnxEngineError {
  if (error instanceof OnnxEngineError) return error
  throw error
}

/** Why a build would refuse the bindings, with what to do. */
function bindingsProblem(model: Model, options: CompileOptions, name: string): OnnxEngineError | undefined {
  try {
    selectBindings(model, options, name)
    return undefined
  } catch (error) {
    return orProblem(error)
  }
}

function isSound(binding: DescribedBinding): binding is Binding {
  return !('problem' in binding)
}

function asData(binding: DescribedBinding): InspectedBinding {
  if (!('problem' in binding)) return binding
  const { code, message, expected, received } = binding.problem
  const what = received === 'none' ? `expected ${expected}` : received
  return { name: binding.name, problem: code === 'MODEL_UNSUPPORTED' ? `${what} (unsupported)` : message }
}

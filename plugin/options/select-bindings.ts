import { elementCount, dtypes } from '../../runtime/dtype.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Binding, Bindings } from '../../runtime/manifest.ts'
import { nearest } from '../../runtime/nearest.ts'
import type { GraphEdits } from '../onnx/graph-edits.ts'
import type { Model } from '../onnx/model.ts'
import { unsupportedBinding } from '../onnx/unsupported-binding.ts'
import { didYouMean, formatBytes, quoteText, shorten } from '../text.ts'
import type { CompileOptions } from './schema.ts'

/** The inputs and outputs that an import uses of a model. */
export interface SelectedBindings {
  /** Optional inputs have no default yet: it is in the weights. */
  readonly bindings: Bindings
  /** What has to change in the graph. */
  readonly edits: GraphEdits
}

/** Most bytes of a default: it is part of the generated module. */
const longestDefault = 2 ** 16

/**
 * Applies the options `outputs` and `optionalInputs` to what a model declares.
 *
 * @throws OnnxEngineError MODEL_UNSUPPORTED for a binding that is used and that JavaScript cannot represent, and
 *   OPTION_INVALID for a name that the model does not have, or an input that cannot be optional
 */
export function selectBindings(
  model: Pick<Model, 'file' | 'irVersion' | 'bindings' | 'defaults' | 'unsupported'>,
  options: Pick<CompileOptions, 'outputs' | 'optionalInputs'>,
  name: string,
): SelectedBindings {
  const { bindings, unsupported = [] } = model
  const wanted = options.outputs.length > 0 ? new Set(options.outputs) : undefined
  const missing = unsupported.find(({ role, name }) => role === 'input' || (wanted?.has(name) ?? true))
  if (missing) throw unsupportedBinding(model.file, missing)
  const outputs = bindings.outputs.filter((output) => wanted?.has(output.name) ?? true)
  const present = new Set(outputs.map((output) => output.name))
  const unknown = options.outputs.find((output) => !present.has(output))
  if (unknown !== undefined) throw noSuch(name, 'outputs', unknown, bindings.outputs)
  const opened = openedInputs(model, options.optionalInputs, name)
  const all = bindings.outputs.length + unsupported.length
  return {
    bindings: { inputs: [...bindings.inputs, ...opened], outputs },
    edits: {
      outputs: outputs.length < all ? outputs.map((output) => output.name) : [],
      inputs: opened.map((input) => input.name),
    },
  }
}

function openedInputs(
  { irVersion, defaults = [] }: Pick<Model, 'irVersion' | 'defaults'>,
  wanted: CompileOptions['optionalInputs'],
  name: string,
): readonly Binding[] {
  if (wanted !== true) {
    const present = new Set(defaults.map((binding) => binding.name))
    const unknown = wanted.find((input) => !present.has(input))
    if (unknown !== undefined) throw noSuch(name, 'optionalInputs', unknown, defaults)
  }
  const names = new Set(wanted === true ? [] : wanted)
  const chosen = wanted === true ? defaults : defaults.filter((binding) => names.has(binding.name))
  if (wanted === true && irVersion < 4 && chosen.length > 0) {
    throw new OnnxEngineError('OPTION_INVALID', `model '${name}': optionalInputs`, {
      expected: 'names of inputs, because a model of this age (IR version below 4) lists all its weights as inputs',
      received: 'true',
    })
  }
  return chosen.map((binding) => asOptional(binding, name))
}

function asOptional(binding: Binding, model: string): Binding {
  const subject = `model '${model}': optionalInputs, input ${quoteText(binding.name)}`
  const expected = `a default of at most ${formatBytes(longestDefault)}, because it is part of the generated module`
  if (binding.dtype === 'string')
    throw new OnnxEngineError('OPTION_INVALID', subject, { expected, received: 'strings' })
  const { dims } = binding
  const bytes = (elementCount((dims ?? []).map(Number)) * dtypes[binding.dtype].bits) / 8
  if (bytes > longestDefault) {
    throw new OnnxEngineError('OPTION_INVALID', subject, {
      expected,
      received: formatBytes(bytes),
      hint: 'Name only the inputs that the app sets: this one looks like a weight',
    })
  }
  return { ...binding, optional: true }
}

function noSuch(
  model: string,
  option: 'outputs' | 'optionalInputs',
  name: string,
  candidates: readonly Binding[],
): OnnxEngineError {
  const names = candidates.map((binding) => binding.name)
  const what = option === 'outputs' ? 'an output' : 'an input with a default'
  return new OnnxEngineError('OPTION_INVALID', `model '${model}': ${option}`, {
    expected: names.length > 0 ? `${what}: ${shorten(names.join(', '), 200)}` : `${what}, of which it has none`,
    received: quoteText(name),
    hint: didYouMean(nearest(name, names)),
  })
}

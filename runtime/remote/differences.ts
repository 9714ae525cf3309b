import { bindingText } from '../check-inputs.ts'
import type { Binding, Bindings } from '../manifest.ts'
import { quote } from '../text.ts'
import { datatypes, dtypeOfDatatype } from './datatypes.ts'
import { mismatch } from './failures.ts'
import type { ServedModel, ServedTensor } from './transport.ts'

/** Whether the server describes the inputs and outputs of the model at all: the protocol lets them be left out. */
export function describesBindings({ inputs, outputs }: ServedModel): boolean {
  return inputs.length > 0 || outputs.length > 0
}

/**
 * Holds the metadata of a server against the bindings that the app was built with. Throws SERVER_MISMATCH with one
 * sentence for each difference. Outputs that only the server has are fine: they are not asked for.
 */
export function refuseDifferences(subject: string, expected: Bindings, served: ServedModel): void {
  const sentences = [
    ...expected.inputs.flatMap((binding) => tensorDifferences('input', binding, served.inputs)),
    ...served.inputs
      .filter(({ name }) => !expected.inputs.some((binding) => binding.name === name))
      .map(({ name }) => `the server wants an input ${quote(name)}, which the model does not have`),
    ...expected.outputs.flatMap((binding) => tensorDifferences('output', binding, served.outputs)),
  ]
  if (sentences.length === 0) return
  const hint = 'Serve the model that the app was built with, or build the app with the model of the server.'
  throw mismatch(subject, 'the bindings that the app was built with', sentences.join('; '), hint)
}

/** The bindings as a server describes them. Throws SERVER_MISMATCH for datatypes that no input or output can have. */
export function bindingsOf(subject: string, served: ServedModel): Bindings {
  if (!describesBindings(served)) {
    const hint = 'Pass the option bindings: the imported model, or what its manifest file holds.'
    throw mismatch(subject, 'metadata with inputs and outputs', 'none', hint)
  }
  return {
    inputs: served.inputs.map((tensor) => bindingOf(subject, tensor)),
    outputs: served.outputs.map((tensor) => bindingOf(subject, tensor)),
  }
}

function bindingOf(subject: string, { name, datatype, shape }: ServedTensor): Binding {
  const dtype = dtypeOfDatatype(datatype)
  if (dtype === undefined) {
    const known = Object.values(datatypes).map((each) => each.name)
    throw mismatch(`${subject}, ${quote(name)}`, `one of ${known.join(', ')}`, `datatype ${quote(datatype)}`)
  }
  return { name, dtype, dims: shape.map((size) => (size < 0 ? null : size)) }
}

type Kind = 'input' | 'output'

function tensorDifferences(kind: Kind, binding: Binding, served: readonly ServedTensor[]): readonly string[] {
  const tensor = served.find(({ name }) => name === binding.name)
  const subject = `${kind} ${quote(binding.name)}`
  if (!tensor)
    return [`the server has no ${subject}, only ${served.map(({ name }) => quote(name)).join(', ') || 'none'}`]
  const { datatype, shape } = tensor
  const { name } = datatypes[binding.dtype]
  const sentences = datatype === name ? [] : [`${subject} is ${datatype} on the server and ${name} here`]
  return [...sentences, ...dimDifferences(kind, binding, shape)]
}

function dimDifferences(kind: Kind, binding: Binding, shape: readonly number[]): readonly string[] {
  const { dims } = binding
  if (!dims) return []
  const subject = `${kind} ${quote(binding.name)}`
  if (dims.length !== shape.length) {
    return [`${subject} has the shape [${shape.join(',')}] on the server and is ${bindingText(binding)} here`]
  }
  return dims.flatMap((dim, axis) => {
    const size = shape[axis] ?? -1
    if (size < 0 || size === dim) return []
    if (typeof dim === 'number') return [`dim ${axis} of ${subject} is ${size} on the server and ${dim} here`]
    // An open dim of an output may have one size only; that of an input must be free to choose.
    return kind === 'input' ? [`dim ${axis} of ${subject} is fixed at ${size} on the server and open here`] : []
  })
}

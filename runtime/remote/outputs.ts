import { bindingText } from '../check-inputs.ts'
import type { Binding } from '../manifest.ts'
import type { CheckedTensor } from '../session.ts'
import { quote } from '../text.ts'
import { datatypes } from './datatypes.ts'
import { failed } from './failures.ts'
import { fromRaw } from './raw.ts'
import type { WireTensor } from './transport.ts'
import { fromValues } from './values.ts'

/**
 * The outputs of a model from a server's answer, in the order of the bindings. Throws INFERENCE_FAILED for an output
 * that is missing or does not fit its binding: a server may run another model than the one that the app expects.
 */
export function readOutputs(
  subject: string,
  bindings: readonly Binding[],
  tensors: readonly WireTensor[],
): ReadonlyMap<string, CheckedTensor> {
  return new Map(
    bindings.map((binding) => {
      const tensor = tensors.find(({ name }) => name === binding.name)
      const where = `${subject}, output ${quote(binding.name)}`
      if (!tensor)
        throw failed(where, `an answer with ${tensors.map(({ name }) => quote(name)).join(', ') || 'no outputs'}`)
      return [binding.name, readOutput(where, binding, tensor)]
    }),
  )
}

function readOutput(where: string, binding: Binding, { datatype, shape, content }: WireTensor): CheckedTensor {
  const { dtype, dims } = binding
  const wrong = (received: string) => failed(where, `${received}, for ${bindingText(binding)}`)
  if (datatype !== datatypes[dtype].name) throw wrong(`datatype ${quote(datatype)}`)
  const fits =
    shape.every((size) => Number.isSafeInteger(size) && size >= 0) &&
    (!dims ||
      (dims.length === shape.length && dims.every((dim, axis) => typeof dim !== 'number' || dim === shape[axis])))
  if (!fits) throw wrong(`shape [${shape.join(',')}]`)
  const count = shape.reduce((product, size) => product * size, 1)
  const data = 'bytes' in content ? fromRaw(dtype, count, content.bytes) : fromValues(dtype, count, content.values)
  if (typeof data === 'string') throw wrong(data)
  return { dtype, dims: shape, data }
}

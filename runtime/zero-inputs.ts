import { dtypes, elementCount } from './dtype.ts'
import { defaultTensor, inputsOfEngines } from './input-defaults.ts'
import type { Bindings } from './manifest.ts'
import type { CheckedTensor } from './session.ts'
import { viewOf } from './tensor-memory.ts'

/**
 * Inputs of zeros, and of defaults, for a first run, which compiles the shaders of a GPU. Undefined when a dim is open.
 */
export function zeroInputs({ inputs }: Bindings): ReadonlyMap<string, CheckedTensor> | undefined {
  const zeros = new Map<string, CheckedTensor>()
  for (const input of inputsOfEngines(inputs)) {
    const { name, dtype, dims } = input
    const fixed = dims?.filter((dim) => typeof dim === 'number')
    const value = defaultTensor(input)
    if (value) zeros.set(name, value)
    else if (!fixed || fixed.length !== dims?.length || dtypes[dtype].array === 'Array') return undefined
    else {
      const bytes = Math.ceil((elementCount(fixed) * dtypes[dtype].bits) / 8)
      zeros.set(name, { dtype, dims: fixed, data: viewOf(dtype, new ArrayBuffer(bytes), 0, bytes) })
    }
  }
  return zeros
}

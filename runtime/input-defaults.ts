import { dtypes, elementCount } from './dtype.ts'
import type { Binding } from './manifest.ts'
import type { CheckedTensor } from './session.ts'
import { viewOf } from './tensor-memory.ts'

/** The default of an input as a tensor; undefined for an input without one. Throws TypeError for damaged data. */
export function defaultTensor({ name, dtype, default: value }: Binding): CheckedTensor | undefined {
  if (value === undefined) return undefined
  const bytes = Uint8Array.from(atob(value.data), (character) => character.charCodeAt(0))
  if (bytes.length * 8 !== elementCount(value.dims) * dtypes[dtype].bits)
    throw new TypeError(`the default of the input ${JSON.stringify(name)} has ${bytes.length} bytes`)
  return { dtype, dims: value.dims, data: viewOf(dtype, bytes.buffer, 0, bytes.length) }
}

/** Adds the defaults of inputs that were left out. Returns the same map when there is nothing to add. */
export function createDefaults(inputs: readonly Binding[]): FillDefaults {
  const known = inputs.filter((input) => input.default !== undefined)
  if (known.length === 0) return (tensors) => tensors
  return (tensors) => {
    const filled = new Map(tensors)
    for (const input of known) {
      // A tensor of its own for each call: a call may move its buffers.
      const value = filled.has(input.name) ? undefined : defaultTensor(input)
      if (value) filled.set(input.name, value)
    }
    return filled
  }
}

export type FillDefaults = (tensors: ReadonlyMap<string, CheckedTensor>) => ReadonlyMap<string, CheckedTensor>

/** The inputs that an engine has: all but the optional ones whose defaults are compiled in. */
export function inputsOfEngines(inputs: readonly Binding[]): readonly Binding[] {
  return inputs.filter((input) => !input.optional || input.default !== undefined)
}

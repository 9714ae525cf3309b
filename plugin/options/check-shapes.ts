import { elementCount } from '../../runtime/dtype.ts'
import { OnnxEngineError, nearest } from '../../runtime/errors.ts'
import type { Bindings, Binding } from '../../runtime/manifest.ts'
import { didYouMean, keyPath, shorten } from '../text.ts'
import type { Shapes, Profile, ValueBounds } from './types.ts'

/**
 * Holds fixed shapes and profiles against the model's own inputs. Throws SHAPE_INVALID, naming the key path, for an
 * input that the model does not have, a rank or static dim that differs, a dim that is not a positive safe integer, one
 * named dim with two values, profiles whose `min`, `opt` and `max` list different inputs, bounds that are not min <=
 * opt <= max, and bounds of values for an input that is not of whole numbers, not fixed in its dims, or of another
 * length.
 */
export function checkShapes(
  { shapes, profiles }: { readonly shapes: Shapes; readonly profiles: readonly Profile[] },
  { inputs }: Bindings,
  name: string,
): void {
  const bindings = new Map(inputs.map((input) => [input.name, input]))
  const fixed = checkDims(name, ['shapes'], shapes, bindings, new Map())
  for (const [index, profile] of profiles.entries()) {
    for (const bound of bounds) checkDims(name, ['profiles', index, bound], profile[bound], bindings, fixed)
    checkOrder(name, ['profiles', index], profile)
    for (const [input, bounds] of Object.entries(profile.values ?? {}))
      checkValues(name, ['profiles', index, 'values', input], bounds, bindings.get(input), bindings)
  }
}

type Path = readonly (string | number)[]

type NamedDims = ReadonlyMap<string, { readonly value: number; readonly path: Path }>

const bounds = ['min', 'opt', 'max'] as const

/** Returns the values that the shapes give to named dims, on top of those that are already known. */
function checkDims(
  name: string,
  at: Path,
  shapes: Shapes,
  bindings: ReadonlyMap<string, Binding>,
  known: NamedDims,
): NamedDims {
  const named = new Map(known)
  for (const [input, dims] of Object.entries(shapes)) {
    const path = [...at, input]
    const binding = bindings.get(input)
    if (binding === undefined) throw noInput(name, path, bindings)
    if (binding.dims !== null && binding.dims.length !== dims.length) {
      throw refusal(
        name,
        path,
        `rank ${binding.dims.length}, as the model has [${binding.dims.map((dim) => dim ?? '?').join(', ')}]`,
        `rank ${dims.length}, [${dims.join(', ')}]`,
      )
    }
    for (const [axis, value] of dims.entries()) {
      const here = [...path, axis]
      if (!Number.isSafeInteger(value) || value < 1)
        throw refusal(name, here, 'a positive integer of at most 2^53 - 1', String(value))
      const dim = binding.dims?.[axis] ?? null
      if (typeof dim === 'number' && dim !== value)
        throw refusal(name, here, `${dim}, which is static in the model`, String(value))
      if (typeof dim !== 'string') continue
      const other = named.get(dim)
      if (other !== undefined && other.value !== value) {
        throw refusal(
          name,
          here,
          `${other.value}, because '${dim}' is the same dim as ${keyPath(other.path)}`,
          String(value),
        )
      }
      named.set(dim, { value, path: here })
    }
  }
  return named
}

function checkOrder(name: string, at: Path, profile: Profile): void {
  for (const input of new Set(bounds.flatMap((bound) => Object.keys(profile[bound])))) {
    const [min, opt, max] = bounds.map((bound) =>
      Object.hasOwn(profile[bound], input) ? profile[bound][input] : undefined,
    )
    if (min === undefined || opt === undefined || max === undefined) {
      throw refusal(
        name,
        at,
        `the input '${shorten(input)}' in min, opt and max`,
        `it in ${bounds.filter((bound) => Object.hasOwn(profile[bound], input)).join(' and ')} only`,
      )
    }
    const axis = opt.findIndex((value, index) => !((min[index] ?? NaN) <= value && value <= (max[index] ?? NaN)))
    if (axis >= 0 || min.length !== opt.length || max.length !== opt.length) {
      throw refusal(
        name,
        [...at, 'opt', input],
        'min <= opt <= max for each dim',
        `min [${min.join(', ')}], opt [${opt.join(', ')}], max [${max.join(', ')}]`,
      )
    }
  }
}

function checkValues(
  name: string,
  path: Path,
  { min, opt, max }: ValueBounds,
  binding: Binding | undefined,
  bindings: ReadonlyMap<string, Binding>,
): void {
  if (binding === undefined) throw noInput(name, path, bindings)
  const { dtype, dims } = binding
  if (dtype !== 'int64' && dtype !== 'int32')
    throw refusal(name, path, 'an input of int32 or int64, as shape tensors are', dtype)
  const count = dims?.every((dim) => typeof dim === 'number') ? elementCount(dims) : undefined
  if (count === undefined || (dims?.length ?? 0) > 1)
    throw refusal(
      name,
      path,
      'an input of rank 0 or 1 with static dims, as shape tensors are',
      `[${dims?.map((dim) => dim ?? '?').join(', ') ?? '...'}]`,
    )
  for (const [bound, values] of Object.entries({ min, opt, max })) {
    if (values.length !== count) throw refusal(name, [...path, bound], `${count} values`, `${values.length}`)
    const broken = values.findIndex((value) => !Number.isSafeInteger(value))
    if (broken >= 0) throw refusal(name, [...path, bound, broken], 'a whole number', String(values[broken]))
  }
  if (opt.some((value, index) => !((min[index] ?? NaN) <= value && value <= (max[index] ?? NaN)))) {
    throw refusal(
      name,
      path,
      'min <= opt <= max for each value',
      `min [${min.join(', ')}], opt [${opt.join(', ')}], max [${max.join(', ')}]`,
    )
  }
}

function noInput(name: string, path: Path, bindings: ReadonlyMap<string, Binding>): OnnxEngineError {
  return refusal(
    name,
    path,
    `one of the model's inputs (${list(bindings.keys())})`,
    'no such input',
    nearest(String(path.at(-1)), bindings.keys()),
  )
}

function refusal(name: string, path: Path, expected: string, received: string, near?: string): OnnxEngineError {
  const hint = didYouMean(near)
  return new OnnxEngineError('SHAPE_INVALID', `model '${name}': ${keyPath(path)}`, { expected, received, hint })
}

// A hostile model can have a million inputs.
function list(names: Iterable<string>): string {
  const all = [...names]
  const shown = all
    .slice(0, 20)
    .map((name) => `'${shorten(name)}'`)
    .join(', ')
  return all.length > 20 ? `${shown}, ${all.length - 20} more` : shown || 'it has none'
}

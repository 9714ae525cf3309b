import { elementCount } from '../../runtime/dtype.ts'
import { type ErrorDetails, OnnxEngineError } from '../../runtime/errors.ts'
import type { Bindings, Binding, Dim } from '../../runtime/manifest.ts'
import { nearest } from '../../runtime/nearest.ts'
import { didYouMean, keyPath, shorten } from '../text.ts'
import { listedProfiles } from './listed-profiles.ts'
import type { Shapes, Profile, ValueBounds } from './types.ts'

/**
 * Checks fixed shapes and profiles against the model's own inputs. Throws SHAPE_INVALID with the key path for an input
 * that the model does not have, a rank or static dim that differs, a dim that is not a positive safe integer, one named
 * dim with two values, profiles whose `min`, `opt` and `max` list different inputs, bounds that are not min <= opt <=
 * max, and bounds of values for an input that is not of integers, has dynamic dims, or has another length.
 */
export function checkShapes(
  options: { readonly shapes: Shapes; readonly profiles: 'auto' | readonly Profile[] },
  { inputs }: Bindings,
  name: string,
): void {
  const model: CheckedModel = {
    bindings: new Map(inputs.map((input) => [input.name, input])),
    invalid: (path, details) => new OnnxEngineError('SHAPE_INVALID', `model '${name}': ${keyPath(path)}`, details),
  }
  const fixed = checkDims(model, ['shapes'], options.shapes, new Map())
  for (const [index, profile] of listedProfiles(options).entries()) {
    for (const bound of bounds) checkDims(model, ['profiles', index, bound], profile[bound], fixed)
    checkOrder(model, ['profiles', index], profile)
    for (const [input, valueBounds] of Object.entries(profile.values ?? {}))
      checkValues(model, ['profiles', index, 'values', input], valueBounds)
  }
}

type Path = readonly (string | number)[]

interface CheckedModel {
  readonly bindings: ReadonlyMap<string, Binding>
  /** The error for a key path. */
  readonly invalid: (path: Path, details: ErrorDetails) => OnnxEngineError
}

/** The value of each named dim, and the key path that sets it. */
type NamedDims = ReadonlyMap<string, { readonly value: number; readonly path: Path }>

const bounds = ['min', 'opt', 'max'] as const

/** Checks the dims of each input; returns the values of named dims, those in `known` included. */
function checkDims(model: CheckedModel, at: Path, shapes: Shapes, known: NamedDims): NamedDims {
  const named = new Map(known)
  for (const [input, dims] of Object.entries(shapes)) {
    const path = [...at, input]
    const binding = bindingOf(model, path)
    if (binding.dims !== null && binding.dims.length !== dims.length) {
      const inModel = binding.dims.map((dim) => dim ?? '?').join(', ')
      throw model.invalid(path, {
        expected: `rank ${binding.dims.length}, as the model has [${inModel}]`,
        received: `rank ${dims.length}, [${dims.join(', ')}]`,
      })
    }
    for (const [axis, value] of dims.entries()) {
      const dim = binding.dims?.[axis] ?? null
      checkDim(model, [...path, axis], { dim, value }, named)
      if (typeof dim === 'string') named.set(dim, { value, path: [...path, axis] })
    }
  }
  return named
}

function checkDim(
  { invalid }: CheckedModel,
  path: Path,
  { dim, value }: { readonly dim: Dim; readonly value: number },
  named: NamedDims,
): void {
  const received = String(value)
  if (!Number.isSafeInteger(value) || value < 1)
    throw invalid(path, { expected: 'a positive integer of at most 2^53 - 1', received })
  if (typeof dim === 'number' && dim !== value)
    throw invalid(path, { expected: `${dim}, which is static in the model`, received })
  const other = typeof dim === 'string' ? named.get(dim) : undefined
  if (other === undefined || other.value === value) return
  const expected = `${other.value}, because '${dim}' is the same dim as ${keyPath(other.path)}`
  throw invalid(path, { expected, received })
}

function checkOrder({ invalid }: CheckedModel, at: Path, profile: Profile): void {
  for (const input of new Set(bounds.flatMap((bound) => Object.keys(profile[bound])))) {
    const present = bounds.filter((bound) => Object.hasOwn(profile[bound], input))
    if (present.length < bounds.length) {
      throw invalid(at, {
        expected: `the input '${shorten(input)}' in min, opt and max`,
        received: `it in ${present.join(' and ')} only`,
      })
    }
    const [min = [], opt = [], max = []] = bounds.map((bound) => profile[bound][input])
    if (min.length === opt.length && max.length === opt.length && isOrdered({ min, opt, max })) continue
    throw invalid([...at, 'opt', input], {
      expected: 'min <= opt <= max for each dim',
      received: boundsText({ min, opt, max }),
    })
  }
}

function checkValues(model: CheckedModel, path: Path, valueBounds: ValueBounds): void {
  const { invalid } = model
  const { dtype, dims } = bindingOf(model, path)
  if (dtype !== 'int64' && dtype !== 'int32')
    throw invalid(path, { expected: 'an input of int32 or int64, as shape tensors are', received: dtype })
  const count = dims?.every((dim) => typeof dim === 'number') ? elementCount(dims) : undefined
  if (count === undefined || (dims?.length ?? 0) > 1) {
    throw invalid(path, {
      expected: 'an input of rank 0 or 1 with static dims, as shape tensors are',
      received: `[${dims?.map((dim) => dim ?? '?').join(', ') ?? '...'}]`,
    })
  }
  for (const bound of bounds) {
    const values = valueBounds[bound]
    if (values.length !== count)
      throw invalid([...path, bound], { expected: `${count} values`, received: `${values.length}` })
    const broken = values.findIndex((value) => !Number.isSafeInteger(value))
    if (broken >= 0)
      throw invalid([...path, bound, broken], { expected: 'a whole number', received: String(values[broken]) })
  }
  if (!isOrdered(valueBounds))
    throw invalid(path, { expected: 'min <= opt <= max for each value', received: boundsText(valueBounds) })
}

// Not by negation: NaN is in no order.
function isOrdered({ min, opt, max }: ValueBounds): boolean {
  return opt.every((value, index) => (min[index] ?? NaN) <= value && value <= (max[index] ?? NaN))
}

function boundsText({ min, opt, max }: ValueBounds): string {
  return `min [${min.join(', ')}], opt [${opt.join(', ')}], max [${max.join(', ')}]`
}

/** The input that a key path ends with. */
function bindingOf({ bindings, invalid }: CheckedModel, path: Path): Binding {
  const input = String(path.at(-1))
  const binding = bindings.get(input)
  if (binding) return binding
  throw invalid(path, {
    expected: `one of the model's inputs (${list(bindings.keys())})`,
    received: 'no such input',
    hint: didYouMean(nearest(input, bindings.keys())),
  })
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

import type { ProfiledInput, TensorRtBuild } from '../../../native/load-addon.ts'
import { OnnxEngineError } from '../../../runtime/errors.ts'
import type { Binding, Dim } from '../../../runtime/manifest.ts'
import type { Model } from '../../onnx/model.ts'
import { fixBindings } from '../../options/engine-bindings.ts'
import { listedProfiles } from '../../options/listed-profiles.ts'
import { encodeName } from '../../options/query.ts'
import type { CompileOptions } from '../../options/schema.ts'
import type { Shapes } from '../../options/types.ts'

/** Inputs of which fixed shapes decide at least one dim; -1 stands for those that stay open. */
export function fixedInputs({ bindings }: Model, { shapes }: CompileOptions): TensorRtBuild['fixed'] {
  return fixBindings(bindings, shapes).inputs.flatMap(({ name, dims }, index) => {
    const before = bindings.inputs[index]?.dims
    if (!dims || (before && dims.every((dim, axis) => dim === before[axis]))) return []
    return [{ input: name, dims: dims.map((dim) => (typeof dim === 'number' ? dim : -1)) }]
  })
}

/**
 * The optimization profiles, in the order written: bounds of dims, then those of values. TensorRT optimizes for bounds:
 * a dynamic input without them is SHAPE_INVALID, with a query to paste. Which inputs are shape tensors, only the parser
 * tells: see profiles.cc.
 */
export function profilesOf(
  { file, bindings }: Model,
  options: CompileOptions,
  backend: string,
): readonly (readonly ProfiledInput[])[] {
  const profiles = listedProfiles(options)
  const dynamic = fixBindings(bindings, options.shapes).inputs.filter(
    ({ dims }) => dims === null || dims.some((dim) => typeof dim !== 'number'),
  )
  if (dynamic.length === 0 && profiles.every(({ values }) => values === undefined)) return []
  const given = profiles.map(({ min, opt, max }) =>
    dynamic.map(({ name }) => ({
      input: name,
      values: false,
      min: dimsOf(min, name),
      opt: dimsOf(opt, name),
      max: dimsOf(max, name),
    })),
  )
  const complete = given.map((inputs, number) => [
    ...inputs.filter(
      (input): input is ProfiledInput => input.min !== undefined && input.opt !== undefined && input.max !== undefined,
    ),
    ...Object.entries(profiles[number]?.values ?? {}).map(([input, bounds]) => ({ input, values: true, ...bounds })),
  ])
  const lacking =
    given.length === 0
      ? dynamic
      : dynamic.filter((_, index) => given.some((inputs) => inputs[index]?.opt === undefined))
  if (lacking.length === 0) return complete
  throw new OnnxEngineError('SHAPE_INVALID', `${file}: ${lacking.map(describe).join(', ')} with ${backend}`, {
    expected: 'bounds for every dynamic input, since engines of TensorRT are optimized for them',
    received: profiles.length === 0 ? 'no optimization profile' : 'a profile without them',
    hint:
      `Import the model with fixed dims (?${fixedText(dynamic)}) or with a profile (?${profileText(dynamic)}), ` +
      'with your numbers instead of these',
  })
}

function dimsOf(shapes: Shapes, input: string): readonly number[] | undefined {
  return Object.hasOwn(shapes, input) ? shapes[input] : undefined
}

function describe({ name, dims }: Binding): string {
  return `input '${name}' [${dims === null ? '...' : dims.map((dim) => dim ?? '?').join(', ')}]`
}

function fixedText(inputs: readonly Binding[]): string {
  return `shapes=${inputs.map((input) => textOf(input, 'opt')).join(',')}`
}

function profileText(inputs: readonly Binding[]): string {
  return (['min', 'opt', 'max'] as const)
    .map((bound) => `${bound}=${inputs.map((input) => textOf(input, bound)).join(',')}`)
    .join('&')
}

// Sizes to start from: batches, the sides of images, and lengths of anything else.
const guesses = {
  batch: { min: 1, opt: 1, max: 8 },
  side: { min: 32, opt: 224, max: 640 },
  length: { min: 1, opt: 128, max: 512 },
} as const

function textOf({ name, dims }: Binding, bound: 'min' | 'opt' | 'max'): string {
  const guess = (dim: Dim, axis: number): number => {
    if (typeof dim === 'number') return dim
    if (axis === 0) return guesses.batch[bound]
    return guesses[dims?.length === 4 ? 'side' : 'length'][bound]
  }
  return `${encodeName(name)}:${(dims ?? [null]).map(guess).join('x')}`
}

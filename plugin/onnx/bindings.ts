import { type DType, dtypeOfCode, isBindingDType } from '../../runtime/dtype.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Bindings, Binding, Dim } from '../../runtime/manifest.ts'
import { quote } from '../text.ts'
import { type Message, safeInteger } from './proto.ts'

type Role = 'input' | 'output'

/** The parts of a graph that the bindings are read from. */
export type GraphHeader = Pick<Message<'GraphProto'>, 'input' | 'output' | 'initializer' | 'sparseInitializer'>

/**
 * The bindings of a graph, in its order. An initializer that is also listed as an input (as every one was before IR
 * version 4) is a default value, not an input. A dim is static, named, or unknown; a negative dim, which exporters
 * write for "any", is unknown.
 *
 * Throws MODEL_UNSUPPORTED with the binding and its type for sequences, maps, optionals, sparse and opaque values,
 * element types without a typed array, and dims beyond 2^53; MODEL_INVALID for a missing name, a name that is not
 * UTF-8, and a name that occurs twice. Annotations are ignored: doc strings, denotations of types and dims, metadata.
 *
 * @param where names the model in messages
 */
export function readBindings(graph: GraphHeader, where: string): Bindings {
  const constants = new Set([
    ...graph.initializer.map(({ name }) => name),
    ...graph.sparseInitializer.map(({ values }) => values?.name ?? ''),
  ])
  const inputs = graph.input.filter(({ name }) => name === '' || !constants.has(name))
  return { inputs: readValues(inputs, 'input', where), outputs: readValues(graph.output, 'output', where) }
}

// The fields of TypeProto besides tensorType, in words.
const foreignTypes = {
  sequenceType: 'a sequence',
  mapType: 'a map',
  optionalType: 'an optional value',
  sparseTensorType: 'a sparse tensor',
  opaqueType: 'an opaque value',
} as const satisfies Partial<Record<keyof Message<'TypeProto'>, string>>

// Classifiers of scikit-learn end in a ZipMap, which makes a sequence of maps from a tensor of probabilities.
const zipMapHint =
  'A classifier of scikit-learn gives a tensor when it is converted with ' +
  "convert_sklearn(..., options={'zipmap': False}); otherwise, end the model with a tensor"

function readValues(values: readonly Message<'ValueInfoProto'>[], role: Role, where: string): Binding[] {
  const seen = new Set<string>()
  return values.map((value, index) => {
    const { name } = value
    if (name === '')
      throw new OnnxEngineError('MODEL_INVALID', `${where}, ${role} ${index}`, { expected: 'a name', received: 'none' })
    const place = `${where}, ${role} ${quote(name)}`
    if (name.includes('\uFFFD'))
      throw new OnnxEngineError('MODEL_INVALID', place, { expected: 'a name in UTF-8', received: 'other bytes' })
    if (seen.has(name))
      throw new OnnxEngineError('MODEL_INVALID', place, { expected: `one ${role} of this name`, received: 'two' })
    seen.add(name)
    return { name, ...readType(value.type, place) }
  })
}

function readType(type: Message<'TypeProto'> | null, place: string): { dtype: DType; dims: readonly Dim[] | null } {
  const hint = 'Change the model so that each input and output is a dense tensor of a supported dtype'
  for (const [field, received] of Object.entries(foreignTypes)) {
    if (type && Object.hasOwn(type, field))
      throw new OnnxEngineError('MODEL_UNSUPPORTED', place, {
        expected: 'a tensor',
        received,
        hint: field === 'sequenceType' || field === 'mapType' ? zipMapHint : hint,
      })
  }
  const tensor = type?.tensorType
  const code = tensor?.elemType ?? 0
  const dtype = dtypeOfCode(code)
  if (!dtype || !isBindingDType(dtype)) {
    const received = dtype ?? (code === 0 ? 'none' : `the unknown element type ${code}`)
    throw new OnnxEngineError('MODEL_UNSUPPORTED', place, {
      expected: 'a dtype that a typed array can hold',
      received,
      hint,
    })
  }
  return { dtype, dims: tensor?.shape ? tensor.shape.dim.map((dim, axis) => readDim(dim, axis, place)) : null }
}

function readDim(dim: Message<'DimensionProto'>, axis: number, place: string): Dim {
  if (!Object.hasOwn(dim, 'dimValue')) return dim.dimParam || null
  const value = safeInteger(dim.dimValue)
  if (value === undefined) {
    const received = (BigInt(dim.dimValue.high) * 2n ** 32n + BigInt(dim.dimValue.low >>> 0)).toString()
    throw new OnnxEngineError('MODEL_UNSUPPORTED', `${place}, dim ${axis}`, { expected: 'less than 2^53', received })
  }
  return value < 0 ? null : value
}

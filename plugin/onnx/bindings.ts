import { dtypeOfCode, isBindingDType } from '../../runtime/dtype.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Bindings, Binding, Dim } from '../../runtime/manifest.ts'
import { quote } from '../text.ts'
import { type Message, safeInteger } from './proto.ts'
import { foreignTypes, type Role, type UnsupportedBinding, unsupportedBinding } from './unsupported-binding.ts'

/** The parts of a graph that the bindings are read from. */
export type GraphHeader = Pick<Message<'GraphProto'>, 'input' | 'output' | 'initializer' | 'sparseInitializer'>

/** All that a graph declares as its inputs and outputs. */
export interface DeclaredBindings {
  /** What infer() takes and returns. */
  readonly bindings: Bindings
  /** Inputs with a default, which is an initializer of the same name. */
  readonly defaults: readonly Binding[]
  readonly unsupported: readonly UnsupportedBinding[]
}

/**
 * The bindings of a graph, in its order. An initializer that is also listed as an input (as every one was before IR
 * version 4) is a default value, not an input. A dim is static, named, or unknown; a negative dim, which exporters
 * write for "any", is unknown.
 *
 * Unsupported are sequences, maps, optionals, sparse and opaque values, element types without a typed array, and dims
 * beyond 2^53. Throws MODEL_INVALID for a missing name, a name that is not UTF-8, and a name that occurs twice.
 * Annotations are ignored: doc strings, denotations of types and dims, metadata.
 *
 * @param where names the model in messages
 */
export function readBindings(graph: GraphHeader, where: string): DeclaredBindings {
  const constants = new Set([
    ...graph.initializer.map(({ name }) => name),
    ...graph.sparseInitializer.map(({ values }) => values?.name ?? ''),
  ])
  const hasDefault = ({ name }: { readonly name: string }) => name !== '' && constants.has(name)
  const inputs = readValues(
    graph.input.filter((input) => !hasDefault(input)),
    'input',
    where,
  )
  const outputs = readValues(graph.output, 'output', where)
  return {
    bindings: { inputs: inputs.filter(isBinding), outputs: outputs.filter(isBinding) },
    defaults: graph.input.filter(hasDefault).flatMap(readDefault),
    unsupported: [...inputs, ...outputs].flatMap((value) => (isBinding(value) ? [] : [value])),
  }
}

/** A binding of a model that may be broken: what it is, or what is wrong with it. */
export type DescribedBinding = Binding | { readonly name: string; readonly problem: OnnxEngineError }

/** The inputs without a default and the outputs of a graph, with a problem where one is broken or unsupported. */
export function describeBindings(
  graph: GraphHeader,
  where: string,
): { readonly inputs: readonly DescribedBinding[]; readonly outputs: readonly DescribedBinding[] } {
  const constants = new Set([
    ...graph.initializer.map(({ name }) => name),
    ...graph.sparseInitializer.map(({ values }) => values?.name ?? ''),
  ])
  const describe = (values: readonly Message<'ValueInfoProto'>[], role: Role) => {
    const seen = new Set<string>()
    return values.map((value, index) => describeValue(value, { role, index, where, seen }))
  }
  const inputs = graph.input.filter(({ name }) => name === '' || !constants.has(name))
  return { inputs: describe(inputs, 'input'), outputs: describe(graph.output, 'output') }
}

function describeValue(value: Message<'ValueInfoProto'>, place: ValuePlace): DescribedBinding {
  try {
    const read = readValue(value, place)
    return isBinding(read) ? read : { name: read.name, problem: unsupportedBinding(place.where, read) }
  } catch (problem) {
    if (problem instanceof OnnxEngineError) return { name: value.name, problem }
    throw problem
  }
}

// Weights may be of any dtype: one that cannot be an input is none.
function readDefault({ name, type }: Message<'ValueInfoProto'>): readonly Binding[] {
  const read = readType(type)
  return 'received' in read ? [] : [{ name, ...read }]
}

function isBinding(value: Binding | UnsupportedBinding): value is Binding {
  return 'dtype' in value
}

function readValues(
  values: readonly Message<'ValueInfoProto'>[],
  role: Role,
  where: string,
): (Binding | UnsupportedBinding)[] {
  const seen = new Set<string>()
  return values.map((value, index) => readValue(value, { role, index, where, seen }))
}

interface ValuePlace {
  readonly role: Role
  readonly index: number
  readonly where: string
  /** Names that were read before. */
  readonly seen: Set<string>
}

function readValue(
  { name, type }: Message<'ValueInfoProto'>,
  { role, index, where, seen }: ValuePlace,
): Binding | UnsupportedBinding {
  if (name === '')
    throw new OnnxEngineError('MODEL_INVALID', `${where}, ${role} ${index}`, { expected: 'a name', received: 'none' })
  const place = `${where}, ${role} ${quote(name)}`
  if (name.includes('\uFFFD'))
    throw new OnnxEngineError('MODEL_INVALID', place, { expected: 'a name in UTF-8', received: 'other bytes' })
  if (seen.has(name))
    throw new OnnxEngineError('MODEL_INVALID', place, { expected: `one ${role} of this name`, received: 'two' })
  seen.add(name)
  const read = readType(type)
  return 'received' in read ? { role, name, ...read } : { name, ...read }
}

type UnsupportedType = Pick<UnsupportedBinding, 'axis' | 'expected' | 'received'>

function readType(type: Message<'TypeProto'> | null): Pick<Binding, 'dtype' | 'dims'> | UnsupportedType {
  const foreign = Object.entries(foreignTypes).find(([field]) => type && Object.hasOwn(type, field))
  if (foreign) return { expected: 'a tensor', received: foreign[1] }
  const tensor = type?.tensorType
  const code = tensor?.elemType ?? 0
  const dtype = dtypeOfCode(code)
  if (!dtype || !isBindingDType(dtype)) {
    const received = dtype ?? (code === 0 ? 'none' : `the unknown element type ${code}`)
    return { expected: 'a dtype that a typed array can hold', received }
  }
  if (!tensor?.shape) return { dtype, dims: null }
  const dims: Dim[] = []
  for (const [axis, dim] of tensor.shape.dim.entries()) {
    const read = readDim(dim)
    if (typeof read === 'object' && read !== null) return { axis, ...read }
    dims.push(read)
  }
  return { dtype, dims }
}

function readDim(dim: Message<'DimensionProto'>): Dim | UnsupportedType {
  if (!Object.hasOwn(dim, 'dimValue')) return dim.dimParam || null
  const value = safeInteger(dim.dimValue)
  if (value === undefined) {
    const received = (BigInt(dim.dimValue.high) * 2n ** 32n + BigInt(dim.dimValue.low >>> 0)).toString()
    return { expected: 'less than 2^53', received }
  }
  return value < 0 ? null : value
}

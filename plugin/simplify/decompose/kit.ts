import { type StoredDType, dtypes } from '../../../runtime/dtype.ts'
import { newAttribute } from '../../onnx/attribute.ts'
import type { Content } from '../../onnx/bytes.ts'
import { type Elements, newTensor, setContent } from '../../onnx/content.ts'
import { newNode } from '../../onnx/edit.ts'
import type { EditableModel } from '../../onnx/graph.ts'
import { type Message, newMessage, type Node } from '../../onnx/proto.ts'
import type { TensorType } from '../../onnx/tensor.ts'
import type { ValueType } from '../../onnx/types.ts'
import type { FindConstant } from '../constants.ts'

type Attribute = Message<'AttributeProto'>

/** What a pattern knows of the graph around a node, and how it makes new nodes. */
export interface Kit {
  readonly model: EditableModel
  readonly opset: number
  /** Known dims of a value; undefined when even its rank is unknown. */
  readonly dims: (name: string) => readonly (number | undefined)[] | undefined
  readonly type: (name: string) => ValueType | undefined
  readonly find: FindConstant
  /** The numbers of a constant of up to 2^16 elements and two dims; undefined for any other value. */
  readonly numbers: (name: string) => readonly number[] | undefined
  readonly makeName: (base: string) => string
  /** Whether something reads a value. */
  readonly isRead: (name: string | undefined) => boolean
  /** Adds a node of one output and returns its name. */
  readonly op: (opType: string, input: readonly string[], more?: NodeOptions) => string
  /** Adds a node whose operator may need a pattern itself. */
  readonly add: (node: Node) => void
  /** Adds a constant and returns its name. */
  readonly constant: (dtype: StoredDType, dims: readonly number[], data: Elements) => string
  /** Adds a constant whose bytes are made when the model is written, and returns its name. */
  readonly stored: (type: TensorType, content: Content, output?: string) => string
  /** An int attribute. */
  readonly int: (name: string, value: number) => Attribute
  /** Integers by the names of their values, as floats: those of Cast. */
  readonly plain: Map<string, string>
  /** The same, less their zero point. */
  readonly integers: Map<string, Centred>
  /** uint8 values that exist as int8, less 128. */
  readonly symmetric: Map<string, string>
  /** Types of values that patterns have made and other patterns ask for. */
  readonly made: Map<string, StoredDType>
}

/** Integers as floats, less their zero point. */
export interface Centred {
  readonly name: string
  readonly zero: number
  readonly dtype: 'uint8' | 'int8'
}

/** What a kit is made of. */
export type Around = Omit<Kit, 'op' | 'add' | 'constant' | 'stored' | 'int'> & {
  /** The nodes to use instead of a node: itself, if no pattern is for it. */
  readonly rewrite: (node: Node) => readonly Node[]
}

interface NodeOptions {
  readonly attributes?: readonly Attribute[]
  /** Name of the result, where it must be a certain one. */
  readonly output?: string | undefined
}

/** A kit whose new nodes are pushed to `nodes`, in the order of their making. */
export function kitFor(around: Around, nodes: Node[]): Kit {
  return {
    ...around,
    op(opType, input, { attributes = [], output } = {}) {
      const name = output ?? around.makeName(opType.toLowerCase())
      nodes.push(newNode(opType, [...input], [name], { name, attribute: [...attributes] }))
      return name
    },
    add(node) {
      nodes.push(...around.rewrite(node))
    },
    constant(dtype, dims, data) {
      const name = around.makeName('constant')
      const attribute = [newAttribute('value', { tensor: newTensor('', { dtype, dims }, data) })]
      nodes.push(newNode('Constant', [], [name], { name, attribute }))
      return name
    },
    stored(type, content, output) {
      const name = output ?? around.makeName('constant')
      const tensor = newMessage('TensorProto', {})
      setContent(around.model, tensor, type, content)
      nodes.push(newNode('Constant', [], [name], { name, attribute: [newAttribute('value', { tensor })] }))
      return name
    },
    int: (name, value) => newAttribute(name, { int: value }),
  }
}

/** A vector of int64. */
export function ints({ constant }: Kit, ...values: readonly number[]): string {
  return constant('int64', [values.length], BigInt64Array.from(values, BigInt))
}

/** A float32 scalar, cast to the dtype of a value if that is another one. */
export function scalarLike(kit: Kit, like: string, value: number): string {
  const scalar = kit.constant('float32', [], Float32Array.of(value))
  const dtype = kit.type(like)
  return dtype === 'float32' || typeof dtype !== 'string' ? scalar : cast(kit, scalar, dtype)
}

export function cast({ op }: Kit, value: string, dtype: StoredDType, output?: string): string {
  return op('Cast', [value], { attributes: [newAttribute('to', { int: dtypes[dtype].code })], output })
}

export function transpose({ op }: Kit, value: string, perm: readonly number[], output?: string): string {
  return op('Transpose', [value], { attributes: [newAttribute('perm', { ints: perm })], output })
}

/** 0 keeps a dim, -1 takes what is left. */
export function reshape(kit: Kit, value: string, dims: readonly number[], output?: string): string {
  return kit.op('Reshape', [value, ints(kit, ...dims)], { output })
}

export function unsqueeze(kit: Kit, value: string, ...axes: readonly number[]): string {
  if (kit.opset >= 13) return kit.op('Unsqueeze', [value, ints(kit, ...axes)])
  return kit.op('Unsqueeze', [value], { attributes: [newAttribute('axes', { ints: axes })] })
}

export function concat({ op }: Kit, values: readonly string[], axis: number, output?: string): string {
  return op('Concat', values, { attributes: [newAttribute('axis', { int: axis })], output })
}

/** The length of an axis as an int64 scalar, computed when the model runs. */
export function lengthOf(kit: Kit, value: string, axis: number): string {
  const index = kit.constant('int64', [], BigInt64Array.of(BigInt(axis)))
  return kit.op('Gather', [kit.op('Shape', [value]), index], { attributes: [newAttribute('axis', { int: 0 })] })
}

export function softmax({ op }: Kit, value: string): string {
  return op('Softmax', [value], { attributes: [newAttribute('axis', { int: -1 })] })
}

/** Reduces the last axis to a length of 1. */
export function reduce(kit: Kit, opType: 'ReduceMax' | 'ReduceMin' | 'ReduceMean', value: string): string {
  const keep = newAttribute('keepdims', { int: 1 })
  if (kit.opset >= 18) return kit.op(opType, [value, ints(kit, -1)], { attributes: [keep] })
  return kit.op(opType, [value], { attributes: [newAttribute('axes', { ints: [-1] }), keep] })
}

/** Limits a value by constants. */
export function clip(kit: Kit, value: string, like: string, [least, most]: readonly [number, number]): string {
  if (kit.opset < 11)
    return kit.op('Min', [kit.op('Max', [value, scalarLike(kit, like, least)]), scalarLike(kit, like, most)])
  return kit.op('Clip', [value, scalarLike(kit, like, least), scalarLike(kit, like, most)])
}

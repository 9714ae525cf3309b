import type { Node } from './proto.ts'
import { int64, type Message, newMessage, safeInteger } from './proto.ts'

type Attribute = Message<'AttributeProto'>

// AttributeProto.AttributeType of onnx.proto.
const codes = { float: 1, int: 2, string: 3, tensor: 4, graph: 5, floats: 6, ints: 7, strings: 8 } as const

/** The attribute of a node by name. */
export function attributeOf(node: Node, name: string): Attribute | undefined {
  return node.attribute.find((attribute) => attribute.name === name)
}

/** An int attribute; undefined when it is absent or beyond 2^53. */
export function intAttribute(node: Node, name: string): number | undefined {
  const attribute = attributeOf(node, name)
  return attribute && safeInteger(attribute.i)
}

/**
 * An ints attribute; undefined when it is absent. Values beyond 2^53 are clamped to it: they are ends or limits that
 * mean "all".
 */
export function intsAttribute(node: Node, name: string): number[] | undefined {
  return attributeOf(node, name)?.ints.map(
    (value) => safeInteger(value) ?? (value.high < 0 ? Number.MIN_SAFE_INTEGER : Number.MAX_SAFE_INTEGER),
  )
}

/** A float attribute; undefined when it is absent. */
export function floatAttribute(node: Node, name: string): number | undefined {
  return attributeOf(node, name)?.f
}

/** A floats attribute; undefined when it is absent. */
export function floatsAttribute(node: Node, name: string): number[] | undefined {
  return attributeOf(node, name)?.floats
}

/** A string attribute; undefined when it is absent. */
export function stringAttribute(node: Node, name: string): string | undefined {
  const attribute = attributeOf(node, name)
  return attribute && new TextDecoder().decode(attribute.s)
}

/** A new attribute. A number must be named int or float, since JavaScript cannot tell 1 from 1.0. */
export function newAttribute(
  name: string,
  value:
    | { int: number }
    | { float: number }
    | { string: string }
    | { ints: readonly number[] }
    | { floats: readonly number[] }
    | { tensor: Message<'TensorProto'> },
): Attribute {
  if ('int' in value) return newMessage('AttributeProto', { name, type: codes.int, i: int64(value.int) })
  if ('float' in value) return newMessage('AttributeProto', { name, type: codes.float, f: value.float })
  if ('string' in value)
    return newMessage('AttributeProto', { name, type: codes.string, s: new TextEncoder().encode(value.string) })
  if ('ints' in value) return newMessage('AttributeProto', { name, type: codes.ints, ints: value.ints.map(int64) })
  if ('floats' in value) return newMessage('AttributeProto', { name, type: codes.floats, floats: [...value.floats] })
  return newMessage('AttributeProto', { name, type: codes.tensor, t: value.tensor })
}

/** Sets an attribute of a node, replacing one with the same name. */
export function setAttribute(node: Node, attribute: Attribute): void {
  removeAttribute(node, attribute.name)
  node.attribute.push(attribute)
}

/** Removes an attribute of a node. */
export function removeAttribute(node: Node, name: string): void {
  node.attribute = node.attribute.filter((attribute) => attribute.name !== name)
}

import { intAttribute, newAttribute } from '../../onnx/attribute.ts'
import type { Node } from '../../onnx/proto.ts'
import { concat, type Kit, lengthOf, reshape, transpose, unsqueeze } from './kit.ts'
import { splitHeads } from './scores.ts'

/** Where the sines and cosines of positions are. */
export interface Rotation {
  /** [positions, half of the size], or [batch, length, half of the size] when `gathered`. */
  readonly cos: string
  readonly sin: string
  /** The first position, as an int64 scalar. */
  readonly offset?: string | undefined
  /** [batch, length] of positions, instead of those that follow each other. */
  readonly positions?: string
  readonly gathered?: boolean
  readonly interleaved: boolean
  /** Numbers of each head that are rotated; all if absent. */
  readonly size?: number
}

/**
 * Rotates [batch, heads, length, size] by the positions along its length. The two numbers of a pair are on an axis of
 * their own: OpenVINO takes halves that are cut and joined for a pattern of its own, and computes other numbers.
 */
export function rotate(kit: Kit, value: string, rotation: Rotation): string {
  const { cos, sin, interleaved, size } = rotation
  const half = kit.dims(cos)?.at(-1) ?? 0
  const axis = interleaved ? 4 : 3
  const rotated = size === undefined ? value : slice(kit, value, { start: 0, end: size })
  const pairs = reshape(kit, rotated, interleaved ? [0, 0, 0, half, 2] : [0, 0, 0, 2, half])
  const first = slice(kit, pairs, { start: 0, end: 1, axis })
  const second = slice(kit, pairs, { start: 1, end: 2, axis })
  const [c, s] = [cos, sin].map((table) => unsqueeze(kit, anglesOf(kit, table, value, rotation), 1, axis)) as [
    string,
    string,
  ]
  const real = kit.op('Sub', [kit.op('Mul', [c, first]), kit.op('Mul', [s, second])])
  const imaginary = kit.op('Add', [kit.op('Mul', [s, first]), kit.op('Mul', [c, second])])
  const joined = reshape(kit, concat(kit, [real, imaginary], axis), [0, 0, 0, 2 * half])
  return size === undefined ? joined : concat(kit, [joined, slice(kit, value, { start: size, end: 2 ** 31 })], -1)
}

/** RotaryEmbedding of ONNX and of com.microsoft. Returns whether it was decomposed. */
export function decomposeRotary(node: Node, kit: Kit): boolean {
  const isContrib = node.domain === 'com.microsoft'
  const [x = ''] = node.input
  const [positions = '', cos = '', sin = ''] = isContrib
    ? node.input.slice(1)
    : [node.input[3], node.input[1], node.input[2]]
  const rank = kit.dims(x)?.length
  const half = kit.dims(cos)?.at(-1)
  const width = kit.dims(x)?.at(-1)
  const rotary = intAttribute(node, 'rotary_embedding_dim') || undefined
  const count = intAttribute(node, 'num_heads') || (isContrib && half && width && !rotary ? width / (2 * half) : 0)
  if ((rank !== 3 && rank !== 4) || half === undefined || (rank === 3 && !count)) return false
  const isOffset = isContrib && kit.dims(positions)?.length === 1
  if (isContrib && kit.dims(positions)?.length === undefined) return false
  const heads = rank === 3 ? splitHeads(kit, x, count) : x
  const result = rotate(kit, heads, {
    cos,
    sin,
    interleaved: intAttribute(node, 'interleaved') === 1,
    gathered: positions === '',
    ...(isOffset ? { offset: reshape(kit, positions, [1]) } : { positions }),
    ...(rotary && { size: rotary }),
  })
  const [output = ''] = node.output
  if (rank === 4) kit.op('Identity', [result], { output })
  else reshape(kit, transpose(kit, result, [0, 2, 1, 3]), [0, 0, -1], output)
  return true
}

/** [batch or 1, length, half of the size]. */
function anglesOf(kit: Kit, table: string, value: string, { positions, offset, gathered }: Rotation): string {
  if (gathered) return table
  if (positions) return kit.op('Gather', [table, positions], { attributes: [newAttribute('axis', { int: 0 })] })
  const [zero, one] = [0n, 1n].map((number) => kit.constant('int64', [], BigInt64Array.of(number))) as [string, string]
  const range = kit.op('Range', [zero, lengthOf(kit, value, 2), one])
  const places = offset === undefined ? range : kit.op('Add', [range, offset])
  const angles = kit.op('Gather', [table, places], { attributes: [newAttribute('axis', { int: 0 })] })
  return unsqueeze(kit, angles, 0)
}

interface Piece {
  readonly start: number
  readonly end: number
  readonly axis?: number
}

/** A piece of an axis, of the last one if none is named. */
function slice(kit: Kit, value: string, { start, end, axis = -1 }: Piece): string {
  const inputs = [start, end, axis].map((number) => kit.constant('int64', [1], BigInt64Array.of(BigInt(number))))
  return kit.op('Slice', [value, ...inputs])
}

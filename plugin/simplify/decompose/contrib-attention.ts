import { attributeOf, floatAttribute, intAttribute } from '../../onnx/attribute.ts'
import type { Node } from '../../onnx/proto.ts'
import { concat, type Kit, lengthOf, unsqueeze } from './kit.ts'
import { rotate } from './rotary.ts'
import { attend, causalMask, mergeHeads, paddingMask, splitHeads } from './scores.ts'

// Attention as ONNX Runtime's own operators have it, in the domain com.microsoft.

const filterValue = -10_000

/** com.microsoft.Attention: one product makes queries, keys and values. */
export function decomposeFusedAttention(node: Node, kit: Kit): boolean {
  const [x = '', weights = '', bias = '', mask = '', past = '', added = ''] = node.input
  const [y = '', present] = node.output
  const count = intAttribute(node, 'num_heads')
  const width = kit.dims(weights)?.[1]
  const isOther = ['qkv_hidden_sizes', 'do_rotary'].some(
    (name) => attributeOf(node, name)?.i.low || attributeOf(node, name)?.ints.length,
  )
  if (!count || width === undefined || width % 3 !== 0 || past !== '' || kit.isRead(present) || isOther) return false
  const size = width / 3 / count
  const product = kit.op('MatMul', [x, weights])
  const all = bias === '' ? product : kit.op('Add', [product, bias])
  const [query, key, value] = thirds(kit, all, width / 3).map((part) => splitHeads(kit, part, count)) as [
    string,
    string,
    string,
  ]
  const masks = [...maskOfIndex(node, kit, mask, x), ...(added === '' ? [] : [added])]
  if (mask !== '' && masks.length === (added === '' ? 0 : 1)) return false
  if (intAttribute(node, 'unidirectional')) masks.push(causalMask(kit, { query, key, like: x }))
  const scale = floatAttribute(node, 'scale') ?? 1 / Math.sqrt(size)
  mergeHeads(kit, attend(kit, { like: x, query, key, value, repeats: 1, count, scale, softcap: 0, masks }), y)
  return true
}

/** com.microsoft.MultiHeadAttention, with queries, keys and values of [batch, length, heads * size]. */
export function decomposeMultiHeadAttention(node: Node, kit: Kit): boolean {
  const [q = '', k = '', v = '', bias = '', padding = '', added = '', ...past] = node.input
  const [y = '', ...presents] = node.output
  const count = intAttribute(node, 'num_heads')
  const width = kit.dims(q)?.length === 3 ? kit.dims(q)?.[2] : undefined
  const isCache = past.some((name) => name !== '') || presents.some((name) => kit.isRead(name))
  if (!count || width === undefined || kit.dims(k)?.length !== 3 || v === '' || isCache) return false
  if (padding !== '' && kit.dims(padding)?.length !== 2) return false
  const widths = [width, width, kit.dims(v)?.[2] ?? width]
  const biases = bias === '' ? [] : slices(kit, bias, widths)
  const [query, key, value] = [q, k, v].map((part, index) =>
    splitHeads(kit, biases[index] === undefined ? part : kit.op('Add', [part, biases[index]]), count),
  ) as [string, string, string]
  const masks = [...maskOfIndex(node, kit, padding, q), ...(added === '' ? [] : [added])]
  if (intAttribute(node, 'unidirectional')) masks.push(causalMask(kit, { query, key, like: q }))
  const scale = floatAttribute(node, 'scale') || 1 / Math.sqrt(width / count)
  mergeHeads(kit, attend(kit, { like: q, query, key, value, repeats: 1, count, scale, softcap: 0, masks }), y)
  return true
}

/**
 * com.microsoft.GroupQueryAttention for a batch of one, whose past is as long as its tensor: what each further word of
 * a language model needs. Sequences of other lengths share a batch by padding, which these nodes do not express.
 */
export function decomposeGroupQueryAttention(node: Node, kit: Kit): boolean {
  const [q = '', k = '', v = '', pastKey = '', pastValue = '', , , cos = '', sin = '', ...more] = node.input
  const [y = '', presentKey, presentValue, products] = node.output
  const [count, groups] = [intAttribute(node, 'num_heads'), intAttribute(node, 'kv_num_heads')]
  const [batch, , width] = kit.dims(q) ?? []
  const window = intAttribute(node, 'local_window_size') ?? -1
  const isOther =
    more.some((name) => name !== '') || kit.isRead(products) || window > 0 || intAttribute(node, 'smooth_softmax') === 1
  if (!count || !groups || batch !== 1 || width === undefined || k === '' || isOther) return false
  const isRotated = intAttribute(node, 'do_rotary') === 1
  const offset = pastKey === '' ? undefined : lengthOf(kit, pastKey, 2)
  const interleaved = intAttribute(node, 'rotary_interleaved') === 1
  const turn = (value: string) => (isRotated ? rotate(kit, value, { cos, sin, offset, interleaved }) : value)
  if (isRotated && kit.dims(cos)?.[1] === undefined) return false
  const query = turn(splitHeads(kit, q, count))
  const joined = (past: string, value: string, present: string | undefined) => {
    const output = kit.isRead(present) ? present : undefined
    if (past !== '') return concat(kit, [past, value], 2, output)
    return output === undefined ? value : kit.op('Identity', [value], { output })
  }
  const key = joined(pastKey, turn(splitHeads(kit, k, groups)), presentKey)
  const value = joined(pastValue, splitHeads(kit, v, groups), presentValue)
  const scale = floatAttribute(node, 'scale') || 1 / Math.sqrt(width / count)
  const softcap = floatAttribute(node, 'softcap') ?? 0
  const masks = [causalMask(kit, { query, key, like: q, offset })]
  mergeHeads(kit, attend(kit, { like: q, query, key, value, repeats: count / groups, count, scale, softcap, masks }), y)
  return true
}

/** A mask of [batch, keys], or of [batch, queries, keys]; none for lengths, which one of rank 1 holds. */
function maskOfIndex(node: Node, kit: Kit, mask: string, like: string): string[] {
  const rank = mask === '' ? 0 : kit.dims(mask)?.length
  if (rank !== 2 && rank !== 3) return []
  const filter = floatAttribute(node, 'mask_filter_value') ?? filterValue
  return [paddingMask(kit, unsqueeze(kit, mask, ...(rank === 2 ? [1, 2] : [1])), like, filter)]
}

function thirds(kit: Kit, value: string, width: number): string[] {
  return slices(kit, value, [width, width, width])
}

/** Pieces of the last axis. */
function slices(kit: Kit, value: string, widths: readonly number[]): string[] {
  const at = (number: number) => kit.constant('int64', [1], BigInt64Array.of(BigInt(number)))
  let start = 0
  return widths.map((width) => {
    const piece = kit.op('Slice', [value, at(start), at(start + width), at(-1)])
    start += width
    return piece
  })
}

import { attributeOf, floatAttribute, intAttribute } from '../../onnx/attribute.ts'
import type { Node } from '../../onnx/proto.ts'
import { concat, type Kit, lengthOf } from './kit.ts'
import { attend, causalMask, maskOf, mergeHeads, splitHeads } from './scores.ts'

// Attributes that change the result in ways that these nodes do not express.
const others = ['softmax_precision', 'left_window_size', 'right_window_size', 'local_window_size', 'window_size']

/** Attention of opset 23 and 24. Returns whether it was decomposed. */
export function decomposeAttention(node: Node, kit: Kit): boolean {
  const [q = '', k = '', v = '', mask = '', pastKey = '', pastValue = '', lengths = ''] = node.input
  const [y = '', presentKey, presentValue, products] = node.output
  if (lengths !== '' || kit.isRead(products) || others.some((name) => attributeOf(node, name))) return false
  const rank = kit.dims(q)?.length
  const counts = headCounts(node, kit)
  if (!counts || (rank !== 3 && rank !== 4)) return false
  const split = (value: string, count: number) => (rank === 3 ? splitHeads(kit, value, count) : value)
  const query = split(q, counts.query)
  const joined = (past: string, value: string, present: string | undefined) =>
    past === '' ? passOn(kit, value, present) : concat(kit, [past, value], 2, named(kit, present))
  const key = joined(pastKey, split(k, counts.key), presentKey)
  const value = joined(pastValue, split(v, counts.key), presentValue)
  const masks = masksOf(node, kit, { query, key, mask, past: pastKey })
  if (!masks) return false
  const size = counts.size
  const result = attend(
    kit,
    {
      like: q,
      query,
      key,
      value,
      repeats: counts.query / counts.key,
      count: counts.query,
      scale: floatAttribute(node, 'scale') ?? 1 / Math.sqrt(size),
      softcap: floatAttribute(node, 'softcap') ?? 0,
      masks,
      mayMaskAll: mask !== '',
    },
    rank === 4 ? y : undefined,
  )
  if (rank === 3) mergeHeads(kit, result, y)
  return true
}

function headCounts(node: Node, kit: Kit): { query: number; key: number; size: number } | undefined {
  const [q, k] = [kit.dims(node.input[0] ?? ''), kit.dims(node.input[1] ?? '')]
  const isFlat = q?.length === 3
  const query = isFlat ? intAttribute(node, 'q_num_heads') : q?.[1]
  const key = isFlat ? intAttribute(node, 'kv_num_heads') : k?.[1]
  const width = isFlat ? q[2] : q?.[3]
  if (!query || !key || width === undefined || query % key !== 0) return undefined
  return { query, key, size: isFlat ? width / query : width }
}

interface Masked {
  readonly query: string
  readonly key: string
  readonly mask: string
  readonly past: string
}

/** Undefined when a mask may be shorter than the keys: since opset 24 the rest is masked. */
function masksOf(node: Node, kit: Kit, { query, key, mask, past }: Masked): string[] | undefined {
  const masks: string[] = []
  const like = node.input[0] ?? ''
  if (mask !== '') {
    const [own, keys] = [kit.dims(mask)?.at(-1), totalLength(node, kit)]
    if (kit.opset >= 24 && (own === undefined || own !== keys)) return undefined
    masks.push(kit.type(mask) === 'bool' ? maskOf(kit, mask, like) : mask)
  }
  if (intAttribute(node, 'is_causal'))
    masks.push(causalMask(kit, { query, key, like, offset: past === '' ? undefined : lengthOf(kit, past, 2) }))
  return masks
}

function totalLength(node: Node, kit: Kit): number | undefined {
  const [keys, past] = [kit.dims(node.input[1] ?? ''), kit.dims(node.input[4] ?? '')]
  const own = keys?.at(-2)
  if (!node.input[4]) return own
  return own === undefined || past?.[2] === undefined ? undefined : own + past[2]
}

/** A value under the name of an output that something reads, without which it stays as it is. */
function passOn(kit: Kit, value: string, output: string | undefined): string {
  return kit.isRead(output) ? kit.op('Identity', [value], { output }) : value
}

function named(kit: Kit, output: string | undefined): string | undefined {
  return kit.isRead(output) ? output : undefined
}

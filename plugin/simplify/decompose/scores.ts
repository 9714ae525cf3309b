import { cast, concat, type Kit, lengthOf, reduce, reshape, scalarLike, softmax, transpose, unsqueeze } from './kit.ts'

// Attention in standard operators, for all operators that compute it. Values are [batch, heads, length, size].

/** What an operator computes attention of. */
export interface Heads {
  /** A value of the graph that has the dtype of all. */
  readonly like: string
  readonly query: string
  readonly key: string
  readonly value: string
  /** Heads of the query for each one of the key. */
  readonly repeats: number
  /** Heads of the query. */
  readonly count: number
  readonly scale: number
  /** Largest magnitude of a score; 0 for no limit. */
  readonly softcap: number
  /** What is added to the scores. */
  readonly masks: readonly string[]
  /** Whether a mask may leave a query without keys: the result is zero then. */
  readonly mayMaskAll?: boolean
}

/** Softmax of the scores, times the values: [batch, heads, length, size of a value]. */
export function attend(kit: Kit, heads: Heads, output?: string): string {
  const { like, scale, softcap, masks } = heads
  const root = scalarLike(kit, like, Math.sqrt(scale))
  const query = kit.op('Mul', [heads.query, root])
  const keys = kit.op('Mul', [repeated(kit, heads.key, heads), root])
  let scores = kit.op('MatMul', [query, transpose(kit, keys, [0, 1, 3, 2])])
  if (softcap > 0) {
    const limit = scalarLike(kit, like, softcap)
    scores = kit.op('Mul', [kit.op('Tanh', [kit.op('Div', [scores, limit])]), limit])
  }
  for (const mask of masks) scores = kit.op('Add', [scores, mask])
  const shares = heads.mayMaskAll ? unlessAllMasked(kit, scores, like) : softmax(kit, scores)
  return kit.op('MatMul', [shares, repeated(kit, heads.value, heads)], { output })
}

function unlessAllMasked(kit: Kit, scores: string, like: string): string {
  const largest = reduce(kit, 'ReduceMax', scores)
  const isMasked = kit.op('Equal', [largest, scalarLike(kit, like, -Infinity)])
  return kit.op('Where', [isMasked, scalarLike(kit, like, 0), softmax(kit, scores)])
}

/** Each head of keys or values as often as queries share it, next to each other. */
function repeated(kit: Kit, value: string, { repeats, count }: Heads): string {
  if (repeats === 1) return value
  const one = unsqueeze(kit, value, 2)
  const many = concat(
    kit,
    Array.from({ length: repeats }, () => one),
    2,
  )
  // [batch, heads of keys, repeats, length, size] to [batch, heads, length, size], whatever the length is.
  const at = (axis: number) => unsqueeze(kit, lengthOf(kit, value, axis), 0)
  const total = kit.constant('int64', [1], BigInt64Array.of(BigInt(count)))
  return kit.op('Reshape', [many, concat(kit, [at(0), total, at(2), at(3)], 0)])
}

/** [batch, length, heads * size] as heads. */
export function splitHeads(kit: Kit, value: string, count: number): string {
  return transpose(kit, reshape(kit, value, [0, 0, count, -1]), [0, 2, 1, 3])
}

/** Heads as [batch, length, heads * size]. */
export function mergeHeads(kit: Kit, value: string, output: string): string {
  return reshape(kit, transpose(kit, value, [0, 2, 1, 3]), [0, 0, -1], output)
}

/** 0 where a bool is true and minus infinity elsewhere, in the dtype of `like`. */
export function maskOf(kit: Kit, allowed: string, like: string, filter = -Infinity): string {
  return kit.op('Where', [allowed, scalarLike(kit, like, 0), scalarLike(kit, like, filter)])
}

/**
 * Lets each query see keys up to its own place: [length of queries, length of keys]. `offset` is how many keys come
 * before the first query, as an int64 scalar.
 */
export function causalMask(
  kit: Kit,
  { query, key, like, offset }: { query: string; key: string; like: string; offset?: string | undefined },
): string {
  const [zero, one] = [0n, 1n].map((value) => kit.constant('int64', [], BigInt64Array.of(value))) as [string, string]
  const range = (length: string) => kit.op('Range', [zero, length, one])
  const places = range(lengthOf(kit, query, 2))
  const rows = unsqueeze(kit, offset === undefined ? places : kit.op('Add', [places, offset]), 1)
  const columns = unsqueeze(kit, range(lengthOf(kit, key, 2)), 0)
  // GreaterOrEqual is newer than opset 11.
  return maskOf(kit, kit.op('Not', [kit.op('Less', [rows, columns])]), like)
}

/** A mask of integers, 1 where a key counts, as what is added to scores. */
export function paddingMask(kit: Kit, mask: string, like: string, filter: number): string {
  return maskOf(kit, cast(kit, mask, 'bool'), like, filter)
}

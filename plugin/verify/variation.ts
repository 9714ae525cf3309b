import { createHash } from 'node:crypto'
import type { CheckedTensor } from '../../runtime/session.ts'

/** What was seen of one input or output. */
interface Seen {
  count: number
  /** Whether all samples had the same bytes. */
  same: boolean
  readonly first: string
  /** The one element that fills all samples; undefined when there are several. */
  filling: unknown
}

/** Watches tensors, by name, for whether they vary. Samples that are all alike prove little. */
export type Variation = Map<string, Seen>

/** Takes one sample into account. Nothing is read of a tensor that is known to vary. */
export function watchSample(variation: Variation, tensors: ReadonlyMap<string, CheckedTensor>): void {
  for (const [name, tensor] of tensors) {
    const seen = variation.get(name)
    if (!seen) {
      variation.set(name, { count: 1, same: true, first: digestOf(tensor), filling: fillingOf(tensor) })
      continue
    }
    seen.count++
    if (seen.same) seen.same = digestOf(tensor) === seen.first
    if (seen.filling !== undefined && fillingOf(tensor) !== seen.filling) seen.filling = undefined
  }
}

/**
 * The names of the bindings whose tensors never varied: several samples had the same bytes, or one number was
 * everywhere in tensors of several elements.
 */
export function unvariedOf(variation: Variation, bindings: readonly { readonly name: string }[]): string[] {
  const names = bindings.map(({ name }) => name)
  return names.filter((name) => {
    const seen = variation.get(name)
    return seen !== undefined && (seen.filling !== undefined || (seen.same && seen.count > 1))
  })
}

function digestOf({ dims, data }: CheckedTensor): string {
  const hash = createHash('sha1').update(`${dims.join('x')} `)
  const bytes = ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : JSON.stringify(data)
  return hash.update(bytes).digest('hex')
}

/** The element of a tensor whose elements are all the same; undefined when they differ or there is only one. */
function fillingOf({ data }: CheckedTensor): unknown {
  const elements = data as unknown as ArrayLike<unknown>
  if (elements.length < 2) return undefined
  for (let i = 1; i < elements.length; i++) if (elements[i] !== elements[0]) return undefined
  return elements[0]
}

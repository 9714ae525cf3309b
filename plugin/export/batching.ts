import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Binding, Bindings } from '../../runtime/manifest.ts'

/** How Triton batches a model. */
export interface Batching {
  /** `max_batch_size`; 0 for a model that Triton does not batch, whose dims are then written in full. */
  readonly maxBatchSize: number
  /** Why it is what it is, as a sentence for the README of the repository. */
  readonly reason: string
}

const defaultBatch = 8

/**
 * Triton's rule: with `max_batch_size` above 0, dim 0 of every input and output is the batch and is left out of the
 * config, so it must be dynamic in all of them. Without a wish, only a model whose dim 0 has one name everywhere is
 * batched: another dynamic dim need not be a batch. Throws SHAPE_INVALID for a wish that the model cannot fulfil.
 */
export function batchingOf(model: string, bindings: Bindings, wanted?: number): Batching {
  const tensors = [...bindings.inputs, ...bindings.outputs]
  const fixed = tensors.find(({ dims }) => dims === null || dims.length === 0 || typeof dims[0] === 'number')
  if (wanted === 0) return { maxBatchSize: 0, reason: 'Batching was turned off with --max-batch 0.' }
  if (fixed) {
    if (wanted !== undefined) throw notBatched(model, fixed, wanted)
    return { maxBatchSize: 0, reason: `Not batched: dim 0 of "${fixed.name}" is not dynamic.` }
  }
  const names = new Set(tensors.map(({ dims }) => dims?.[0]))
  const [name] = names
  if (wanted !== undefined) return { maxBatchSize: wanted, reason: 'Batched because of --max-batch.' }
  if (names.size === 1 && typeof name === 'string')
    return { maxBatchSize: defaultBatch, reason: `Batched: dim 0 of all inputs and outputs is "${name}".` }
  const reason = 'Not batched: dim 0 of the inputs and outputs has no common name. If it is the batch, use --max-batch.'
  return { maxBatchSize: 0, reason }
}

function notBatched(model: string, { name, dims }: Binding, wanted: number): OnnxEngineError {
  return new OnnxEngineError('SHAPE_INVALID', `${model}: --max-batch ${wanted}`, {
    expected: 'a dynamic dim 0 in every input and output',
    received: `"${name}" with ${dims === null ? 'unknown dims' : `dims [${dims.map((dim) => dim ?? '?').join(',')}]`}`,
    hint: 'Export the model with a dynamic batch, or leave --max-batch out.',
  })
}

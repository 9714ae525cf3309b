import type { Comparison } from '../measure/compare.ts'
import type { Onnxruntime } from '../measure/feed.ts'
import type { Sample } from '../samples/read.ts'
import { openOnnx, type Opened, type Tensors } from './opened.ts'

/** The fp32 model with and without the optimisations of ONNX Runtime, which sum in different orders. */
export type Doubles = readonly [Opened, Opened]

/**
 * Opens both. Undefined where only an optimisation makes the model run.
 *
 * @param reference the model with the optimisations, where it is open already
 */
export async function openDoubles(
  ort: Onnxruntime,
  file: string,
  reference: Opened | undefined,
): Promise<Doubles | undefined> {
  try {
    const plain = await openOnnx(ort, file, 'disabled')
    return [reference ?? (await openOnnx(ort, file, 'all')), plain]
  } catch {
    return undefined
  }
}

/** Both doubles on a sample; undefined when one of them fails. `reference` has given what is expected already. */
export async function inferTwice(
  [first, second]: Doubles,
  sample: Sample,
  known: { readonly reference: Opened; readonly expected: Tensors },
): Promise<readonly [Tensors, Tensors] | undefined> {
  try {
    const once = first === known.reference ? known.expected : await first.infer(sample)
    return [once, await second.infer(sample)]
  } catch {
    return undefined
  }
}

/** A comparison with how far the doubles are from each other. */
export function withNoise(comparison: Comparison, { compared, trouble, maxAbs, argmax }: Comparison): Comparison {
  if (compared === 0 || trouble !== undefined || maxAbs === null) return comparison
  return { ...comparison, noise: { maxAbs, argmax } }
}

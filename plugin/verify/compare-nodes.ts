import { OnnxEngineError } from '../../runtime/errors.ts'
import { countdown } from '../child/countdown.ts'
import { loadGraph } from '../onnx/graph.ts'
import { type InnerValue, innerValues } from '../onnx/mark-outputs.ts'
import type { ComparisonOptions, Contest } from './compare-candidate.ts'
import { compareValues, type ComparedValue, mostMarked } from './compare-values.ts'
import { timeoutOf } from './request.ts'

/** A value of the main graph in the order of the nodes: how far two engines are apart there, or why that is unknown. */
export type NodeComparison = ComparedValue | (InnerValue & { readonly comparison: null; readonly problem: string })

/**
 * Compares every value of the main graph. They are spread over several copies of the model, neighbours in different
 * ones, so that a compiler can still fuse most of what it fuses in the engine itself. What cannot be an output of an
 * engine is in the result with the reason.
 *
 * @param optionsOf makes the options of each comparison, such as a folder of its own for the tensors
 */
export async function compareNodes(
  contest: Contest,
  optionsOf: () => Promise<ComparisonOptions>,
): Promise<readonly NodeComparison[]> {
  const values = innerValues(await loadGraph(contest.request.model.file))
  const parts = Math.ceil(values.length / mostMarked)
  const compared = new Map<string, NodeComparison>()
  for (let part = 0; part < parts; part++) {
    const some = values.filter((_, index) => index % parts === part)
    for (const node of await compareSome(contest, some, optionsOf)) compared.set(node.name, node)
  }
  return values.map((value) => compared.get(value.name) ?? { ...value, comparison: null, problem: notGiven })
}

const notGiven = 'the engine does not give it as an output'

/** Halves what a compiler refuses, until the values that it refuses are alone. */
async function compareSome(
  contest: Contest,
  values: readonly InnerValue[],
  optionsOf: () => Promise<ComparisonOptions>,
): Promise<readonly NodeComparison[]> {
  const { signal } = contest.request
  try {
    const late = countdown(timeoutOf(contest.request))
    return await compareValues({ ...contest, late }, values, await optionsOf())
  } catch (error) {
    const isFatal = signal?.aborted || !(error instanceof OnnxEngineError)
    if (isFatal || error.code === 'SAMPLES_INVALID') throw error
    if (values.length === 1 || error.code === 'VERIFICATION_FAILED') {
      return values.map((value) => ({ ...value, comparison: null, problem: error.message }))
    }
    const middle = Math.ceil(values.length / 2)
    const first = await compareSome(contest, values.slice(0, middle), optionsOf)
    return [...first, ...(await compareSome(contest, values.slice(middle), optionsOf))]
  }
}

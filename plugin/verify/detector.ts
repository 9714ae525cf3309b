import type { Binding, Bindings } from '../../runtime/manifest.ts'
import type { DetectorOutputs } from '../measure/objects.ts'
import { type EditableModel, scopesOf } from '../onnx/graph.ts'

/**
 * The outputs of a detector that chooses its boxes itself, by NonMaxSuppression: how many there are depends on
 * rounding, so they are compared as objects. Undefined for other models, whose four numbers may mean anything.
 */
export function detectorOutputs(model: EditableModel, { outputs }: Bindings): DetectorOutputs | undefined {
  const chooses = scopesOf(model).some(({ graph }) => graph.node.some(({ opType }) => opType === 'NonMaxSuppression'))
  if (!chooses) return undefined
  const floats = outputs.filter(({ dtype }) => dtype.startsWith('float'))
  const [boxes, ...others] = floats.filter(({ dims }) => dims?.at(-1) === 4)
  if (!boxes?.dims || others.length > 0) return undefined
  const rank = boxes.dims.length - 1
  const ofEach = (binding: Binding): boolean => binding !== boxes && binding.dims?.length === rank
  const [scores, ...more] = floats.filter(ofEach)
  if (!scores || more.length > 0) return undefined
  const labels = outputs.find((binding) => /^u?int/.test(binding.dtype) && ofEach(binding))
  return { boxes: boxes.name, scores: scores.name, ...(labels && { labels: labels.name }) }
}

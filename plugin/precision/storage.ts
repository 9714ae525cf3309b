import { newAttribute } from '../onnx/attribute.ts'
import { type Content, mapContent, setContent, tensorContent } from '../onnx/content.ts'
import { nameMaker, newNode, sortNodes } from '../onnx/edit.ts'
import { type EditableModel, type Scope, scopesOf } from '../onnx/graph.ts'
import type { Message } from '../onnx/proto.ts'
import { tensorType } from '../onnx/tensor.ts'
import { hideInitializers } from '../onnx/upgrade.ts'
import { dtypes } from '../../runtime/dtype.ts'
import { type HalfDType, halfLimits, rangeOf, roundToHalf, type ValueRange } from './half.ts'
import type { Kept, Lowered, PrecisionPass } from './index.ts'
import { requireOpset, untouched } from './untouched.ts'

// Below this a Cast node takes as many bytes as it saves.
const smallest = 1024

/**
 * Stores weights in 16 bits. A Cast gives each its name and dtype back, so the graph computes in float32 with rounded weights, and
 * nothing else changes: bodies, functions and custom operators read what they always read.
 */
export function storagePass(dtype: HalfDType): PrecisionPass {
  return {
    describe({ model }) {
      requireOpset(model, dtype)
      return { name: `store-${dtype}`, version: 1, options: {} }
    },
    async lower(model) {
      const reason = untouched(model)
      if (reason) return { unit: 'weights', total: 0, lowered: 0, kept: [], notes: [reason] }
      hideInitializers(model)
      const newName = nameMaker(model)
      const found: (Kept | undefined)[] = []
      for (const scope of scopesOf(model)) found.push(...await storeWeights(model, scope, dtype, newName))
      const kept = found.filter((weight) => weight !== undefined)
      return { unit: 'weights', total: found.length, lowered: found.length - kept.length, kept, notes: [] } satisfies Lowered
    },
  }
}

async function storeWeights(model: EditableModel, scope: Scope, dtype: HalfDType, newName: (base: string) => string): Promise<(Kept | undefined)[]> {
  const found: (Kept | undefined)[] = []
  for (const { tensor, name, rename } of weightsOf(scope)) {
    const type = tensorType(tensor)
    const content = tensorContent(model, tensor)
    if (type?.dtype !== 'float32' || !content || content.length < smallest) continue
    const reason = misfit(await contentRange(content), dtype)
    found.push(reason === undefined ? undefined : { name, operator: 'initializer', reason })
    if (reason !== undefined) continue
    const stored = newName(`${name}_${dtype}`)
    setContent(model, tensor, { dtype, dims: type.dims }, halfContent(content, dtype))
    rename(stored)
    scope.graph.node.push(newNode('Cast', [stored], [name], { name: stored, attribute: [newAttribute('to', { int: dtypes.float32.code })] }))
  }
  if (found.includes(undefined)) sortNodes(scope, model.file)
  return found
}

/** Why values do not fit into a dtype; undefined when they do. */
export function misfit({ largest, special }: ValueRange, dtype: HalfDType): string | undefined {
  const { overflow, normal } = halfLimits[dtype]
  if (special) return 'holds NaN or infinity'
  if (largest >= overflow) return `holds ${largest.toPrecision(3)}, beyond the range of ${dtype}`
  if (largest > 0 && largest < normal) return `holds nothing above ${largest.toPrecision(3)}, too small for ${dtype}`
  return undefined
}

/** The range of the float32 values of a content. */
export async function contentRange(content: Content): Promise<ValueRange> {
  let range: ValueRange | undefined
  for await (const piece of content.pieces()) range = rangeOf(floats(piece), range)
  return range ?? { largest: 0, special: false }
}

/** The float32 values of a content, rounded. */
export function halfContent(content: Content, dtype: HalfDType): Content {
  return mapContent(content, content.length / 2, (piece) => new Uint8Array(roundToHalf[dtype](floats(piece)).buffer))
}

function floats({ buffer, byteOffset, byteLength }: Uint8Array): Float32Array {
  return new Float32Array(buffer, byteOffset, byteLength / 4)
}

interface Weight {
  readonly name: string
  readonly tensor: Message<'TensorProto'>
  readonly rename: (name: string) => void
}

function weightsOf({ graph }: Scope): Weight[] {
  const initializers = graph.initializer.map((tensor): Weight => ({
    name: tensor.name,
    tensor,
    rename: (name) => {
      tensor.name = name
    },
  }))
  const constants = graph.node.filter(({ opType, domain }) => opType === 'Constant' && domain === '').flatMap((node): Weight[] => {
    const tensor = node.attribute.find(({ name }) => name === 'value')?.t
    const [name] = node.output
    return tensor && name ? [{ name, tensor, rename: (to) => (node.output = [to]) }] : []
  })
  return [...initializers, ...constants]
}

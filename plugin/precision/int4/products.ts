import { elementCount } from '../../../runtime/dtype.ts'
import { intAttribute } from '../../onnx/attribute.ts'
import { tensorElements } from '../../onnx/content.ts'
import type { ScopeIndex } from '../../onnx/graph.ts'
import type { Node } from '../../onnx/proto.ts'
import { tensorType } from '../../onnx/tensor.ts'
import type { GraphEditor } from '../int8/constants.ts'
import { constantWeights, isPlainGemm } from '../int8/place.ts'
import { type BlockLayout, type Blocks, quantizeBlocks } from './blocks.ts'

/** Numbers in a block: with a scale and a zero point, each takes 5.1 bits. */
export const block = 32

/** Numbers below which a matrix gains little. */
const smallest = 4096

/** A matrix of a node that can be stored in 4 bits. */
export interface Candidate {
  readonly node: Node
  readonly weight: string
  readonly layout: BlockLayout
}

/** Products and look-ups with constant matrices of many numbers. */
export function findCandidates(nodes: readonly Node[], index: ScopeIndex): readonly Candidate[] {
  return nodes.flatMap((node) => {
    const found = node.opType === 'Gather' ? tableOf(node, index) : matrixOf(node, index)
    return found && found.layout.rows * found.layout.columns >= smallest ? [{ node, ...found }] : []
  })
}

/** Whether a matrix consists of whole blocks, at least two in a row, and its operator is a plain product. */
export function hasBlocks({ node, layout: { columns } }: Candidate): boolean {
  return columns % block === 0 && columns >= 2 * block && (node.opType !== 'Gemm' || isPlainGemm(node))
}

/** The blocks of a matrix; undefined when a number of it is not finite. */
export async function blocksOf(
  { model }: GraphEditor,
  { constants }: ScopeIndex,
  { weight, layout }: Candidate,
  symmetric: boolean,
): Promise<Blocks | undefined> {
  const values = await tensorElements(model, constants.get(weight)!)
  return values instanceof Float32Array ? quantizeBlocks(values, layout, symmetric) : undefined
}

type Matrix = Pick<Candidate, 'weight' | 'layout'>

/** The weights of a product: its output channels are the rows. */
function matrixOf(node: Node, index: ScopeIndex): Matrix | undefined {
  if (node.domain !== '' || (node.opType !== 'MatMul' && node.opType !== 'Gemm')) return undefined
  const weights = constantWeights(node, index)
  if (!weights) return undefined
  const { weight, dims, axis } = weights
  const [rows = 1, columns = 1] = axis === 0 ? dims : dims.toReversed()
  const strides = axis === 0 ? { row: columns, column: 1 } : { row: 1, column: rows }
  return { weight, layout: { rows, columns, strides, block } }
}

/** The table of an embedding: each row is one of its vectors. */
function tableOf(node: Node, { constants }: ScopeIndex): Matrix | undefined {
  const [weight = ''] = node.input
  const tensor = constants.get(weight)
  const type = tensor && tensorType(tensor)
  const isTable = node.domain === '' && type?.dtype === 'float32' && type.dims.length === 2
  if (!isTable || (intAttribute(node, 'axis') ?? 0) !== 0 || elementCount(type.dims) === 0) return undefined
  const [rows = 1, columns = 1] = type.dims
  return { weight, layout: { rows, columns, strides: { row: columns, column: 1 }, block } }
}

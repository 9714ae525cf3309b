import { intAttribute } from '../../onnx/attribute.ts'
import { type Content, readContent } from '../../onnx/bytes.ts'
import { tensorContent } from '../../onnx/content.ts'
import type { Node } from '../../onnx/proto.ts'
import { tensorType } from '../../onnx/tensor.ts'
import { ints, type Kit, transpose } from './kit.ts'
import { shifted, shiftedNibbles } from './stored-integers.ts'

/** The opset that has int4, and scales for blocks. */
export const blockOpset = 21

/** What a MatMulNBits multiplies with: a matrix of n rows and k columns, in blocks along the rows. */
interface Blocks {
  readonly k: number
  readonly n: number
  readonly block: number
  readonly bits: 4 | 8
  readonly content: Content
}

/**
 * com.microsoft.MatMulNBits: a product with int4 or int8 weights that DequantizeLinear unfolds by blocks, less the
 * middle of their range. Zero points elsewhere, which TensorRT has none of, make a second product: of the sums of the
 * blocks of the other matrix with (middle - zero point) * scale.
 */
export function decomposeMatMulNBits(node: Node, kit: Kit): boolean {
  const [a = '', , scales = '', zeros = '', groups = '', bias = ''] = node.input
  const blocks = blocksOf(node, kit)
  if (!blocks || groups !== '' || kit.opset < blockOpset) return false
  const isPlain = zeros === ''
  const offsets = isPlain ? undefined : offsetContent(kit, blocks, scales, zeros)
  const rank = kit.dims(a)?.length
  if (!isPlain && (!offsets || !rank)) return false
  const last = bias === '' ? node.output[0] : undefined
  const product = kit.op('MatMul', [a, unfolded(kit, blocks, scales)], { output: isPlain ? last : undefined })
  const sum =
    offsets && rank ? kit.op('Add', [product, ofSums(kit, a, rank, { ...blocks, offsets })], { output: last }) : product
  if (bias !== '') kit.op('Add', [sum, bias], { output: node.output[0] })
  return true
}

function blocksOf(node: Node, kit: Kit): Blocks | undefined {
  const tensor = kit.find(node.input[1] ?? '')
  const content = tensor && tensorContent(kit.model, tensor)
  const [k, n, bits = 4, block] = ['K', 'N', 'bits', 'block_size'].map((name) => intAttribute(node, name))
  if (!k || !n || !block || (bits !== 4 && bits !== 8) || k % block !== 0 || !content) return undefined
  return { k, n, block, bits, content }
}

function unfolded(kit: Kit, { k, n, block, bits, content }: Blocks, scales: string): string {
  const dtype = bits === 4 ? 'int4' : 'int8'
  const integers = kit.stored({ dtype, dims: [n, k] }, bits === 4 ? shiftedNibbles(content) : shifted(content))
  const factors = kit.op('Reshape', [scales, ints(kit, n, k / block)])
  const attributes = [kit.int('axis', 1), kit.int('block_size', block)]
  return transpose(kit, kit.op('DequantizeLinear', [integers, factors], { attributes }), [1, 0])
}

/** The product of the sums of the blocks with the offsets of the blocks. */
function ofSums(kit: Kit, a: string, rank: number, { k, n, block, offsets }: Blocks & { offsets: Content }): string {
  const parts = kit.op('Reshape', [a, ints(kit, ...Array<number>(rank - 1).fill(0), k / block, block)])
  const attributes = [kit.int('keepdims', 0)]
  const sums = kit.op('ReduceSum', [parts, ints(kit, rank)], { attributes })
  const factors = kit.stored({ dtype: 'float32', dims: [n, k / block] }, offsets)
  return kit.op('MatMul', [sums, transpose(kit, factors, [1, 0])])
}

/** (middle - zero point) * scale for each block, made when the model is written. */
function offsetContent(kit: Kit, { k, n, block, bits }: Blocks, scales: string, zeros: string): Content | undefined {
  const [factors, points] = [kit.find(scales), kit.find(zeros)]
  const [scale, point] = [factors, points].map((tensor) => tensor && tensorContent(kit.model, tensor))
  if (!factors || !points || !scale || !point) return undefined
  if (tensorType(factors)?.dtype !== 'float32' || tensorType(points)?.dtype !== 'uint8') return undefined
  const inRow = k / block
  const bytesInRow = Math.ceil((inRow * bits) / 8)
  return {
    length: n * inRow * 4,
    async *pieces() {
      const [steps, packed] = [new Float32Array((await readContent(scale)).buffer), await readContent(point)]
      const offsets = new Float32Array(n * inRow)
      for (const [at, step] of steps.entries()) {
        const column = at % inRow
        const row = Math.floor(at / inRow) * bytesInRow
        const zero = bits === 8 ? packed[row + column]! : (packed[row + (column >> 1)]! >> (4 * (column % 2))) & 15
        offsets[at] = (2 ** (bits - 1) - zero) * step
      }
      yield new Uint8Array(offsets.buffer)
    },
  }
}

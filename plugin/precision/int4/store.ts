import { newAttribute } from '../../onnx/attribute.ts'
import { bytesContent } from '../../onnx/bytes.ts'
import { newNode } from '../../onnx/edit.ts'
import { int64, newMessage, type Node } from '../../onnx/proto.ts'
import { addConstant, addContent, type GraphEditor } from '../int8/constants.ts'
import { type Blocks, packed } from './blocks.ts'
import type { Candidate } from './products.ts'

/** How a backend takes weights of 4 bits. */
export type Form = 'operators' | 'blocks' | 'symmetric blocks'

/** A matrix that is stored: how a node of it is rewritten. */
export type Rewrite = (node: Node) => readonly Node[]

/** Stores a matrix and returns how its readers read it. Several may. */
export function storeBlocks(editor: GraphEditor, candidate: Candidate, blocks: Blocks, form: Form): Rewrite {
  return form === 'operators' ? asOperators(editor, candidate, blocks) : asBlocks(editor, candidate, blocks, form)
}

/** MatMulNBits and GatherBlockQuantized of ONNX Runtime's domain com.microsoft. */
function asOperators(editor: GraphEditor, { weight, layout }: Candidate, { stored, scales, zeros }: Blocks): Rewrite {
  const { rows, columns, block } = layout
  const inRow = columns / block
  const bytes = packed(stored, columns)
  const points = packed(zeros, inRow)
  const names = new Map<boolean, readonly [string, string, string]>()
  const store = (table: boolean): readonly [string, string, string] => [
    addContent(
      editor,
      `${weight}_int4`,
      { dtype: 'uint8', dims: table ? [rows, columns / 2] : [rows, inRow, block / 2] },
      bytesContent(bytes),
    ),
    addConstant(editor, `${weight}_scale`, { dtype: 'float32', dims: table ? [rows, inRow] : [rows * inRow] }, scales),
    addConstant(
      editor,
      `${weight}_zero_point`,
      { dtype: 'uint8', dims: table ? [rows, points.length / rows] : [points.length] },
      points,
    ),
  ]
  useDomain(editor, 'com.microsoft')
  return (node) => {
    const table = node.opType === 'Gather'
    const [data, scale, zero] = names.get(table) ?? store(table)
    names.set(table, [data, scale, zero])
    const { name, output } = node
    const domain = 'com.microsoft'
    if (table) {
      const attribute = ints({ bits: 4, block_size: block, gather_axis: 0, quantize_axis: 1 })
      return [
        newNode('GatherBlockQuantized', [data, node.input[1] ?? '', scale, zero], output, { name, domain, attribute }),
      ]
    }
    const attribute = ints({ K: columns, N: rows, bits: 4, block_size: block, accuracy_level: accuracyLevel })
    const input = [node.input[0] ?? '', data, scale, zero]
    return withBias(editor, node, (to) => newNode('MatMulNBits', input, [to], { name, domain, attribute }))
  }
}

/** 4: the other matrix is rounded to int8, block by block. */
const accuracyLevel = 4

/** DequantizeLinear by blocks, before the operators that were there. */
function asBlocks(
  editor: GraphEditor,
  { weight, layout }: Candidate,
  { stored, scales, zeros }: Blocks,
  form: Exclude<Form, 'operators'>,
): Rewrite {
  const { scope, newName } = editor
  const { rows, columns, block } = layout
  const dims = [rows, columns / block]
  const isSigned = form === 'symmetric blocks'
  const dtype = isSigned ? 'int4' : 'uint4'
  const content = bytesContent(packed(isSigned ? stored.map((number) => number ^ 8) : stored, rows * columns))
  const inputs = [
    addContent(editor, `${weight}_int4`, { dtype, dims: [rows, columns] }, content),
    addConstant(editor, `${weight}_scale`, { dtype: 'float32', dims }, scales),
    ...(isSigned
      ? []
      : [addContent(editor, `${weight}_zero_point`, { dtype, dims }, bytesContent(packed(zeros, zeros.length)))]),
  ]
  const [unfolded, turned] = [newName(`${weight}_dequantized`), newName(`${weight}_transposed`)]
  const attribute = ints({ axis: 1, block_size: block })
  scope.graph.node.push(
    newNode('DequantizeLinear', inputs, [unfolded], { name: unfolded, attribute }),
    newNode('Transpose', [unfolded], [turned], { name: turned, attribute: [newAttribute('perm', { ints: [1, 0] })] }),
  )
  return (node) => {
    const { name } = node
    return withBias(editor, node, (to) => newNode('MatMul', [node.input[0] ?? '', turned], [to], { name }))
  }
}

/** A product, and the sum with the third input of a Gemm. */
function withBias({ newName }: GraphEditor, { input, output }: Node, product: (to: string) => Node): readonly Node[] {
  const [result = ''] = output
  const bias = input[2] ?? ''
  if (bias === '') return [product(result)]
  const name = newName(`${result}_product`)
  return [product(name), newNode('Add', [name, bias], [result], { name: `${name}_biased` })]
}

function ints(values: Readonly<Record<string, number>>): Node['attribute'] {
  return Object.entries(values).map(([name, int]) => newAttribute(name, { int }))
}

function useDomain({ model }: GraphEditor, domain: string): void {
  const { opsetImport } = model.proto
  if (opsetImport.some((entry) => entry.domain === domain)) return
  opsetImport.push(newMessage('OperatorSetIdProto', { domain, version: int64(1) }))
}

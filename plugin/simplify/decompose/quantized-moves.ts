import { stringAttribute } from '../../onnx/attribute.ts'
import { newNode } from '../../onnx/edit.ts'
import type { Node } from '../../onnx/proto.ts'
import { cast, type Kit, scalarLike } from './kit.ts'

/** Operators that pick some of the elements of their first input, whatever those mean. */
export const moves: readonly string[] = [
  'DepthToSpace',
  'Expand',
  'Flatten',
  'Gather',
  'GatherElements',
  'GatherND',
  'MaxPool',
  'ReduceMax',
  'ReduceMin',
  'Reshape',
  'Resize',
  'Slice',
  'SpaceToDepth',
  'Split',
  'Squeeze',
  'Tile',
  'Transpose',
  'Unsqueeze',
]

/** Such an operator of integers that exist as floats: it picks from those. */
export function decomposeMove(node: Node, kit: Kit): boolean {
  const [x = '', ...rest] = node.input
  const source = sourceOf(kit, x)
  if (!source || !movesOnly(node, kit)) return false
  const outputs = node.output.map((name) => (name === '' ? '' : kit.makeName('moved')))
  kit.add(newNode(node.opType, [source.floats(), ...rest], outputs, { name: outputs[0]!, attribute: node.attribute }))
  node.output.forEach((name, index) => {
    if (name !== '') source.keep(name, outputs[index]!)
  })
  return true
}

function movesOnly(node: Node, kit: Kit): boolean {
  if (node.opType === 'Resize') return (stringAttribute(node, 'mode') ?? 'nearest') === 'nearest'
  // Indices are no quantized values.
  return node.opType !== 'MaxPool' || !kit.isRead(node.output[1])
}

interface Source {
  /** The floats to pick from. */
  readonly floats: () => string
  /** Makes integers again, for those that read integers. */
  readonly keep: (name: string, floats: string) => void
}

function sourceOf(kit: Kit, x: string): Source | undefined {
  const plain = kit.plain.get(x)
  const dtype = kit.type(x)
  if (plain !== undefined && typeof dtype === 'string')
    return {
      floats: () => plain,
      keep(name, floats) {
        kit.plain.set(name, floats)
        kit.made.set(name, dtype)
        cast(kit, floats, dtype, name)
      },
    }
  const centred = kit.integers.get(x)
  if (centred)
    return {
      floats: () => centred.name,
      keep(name, floats) {
        kit.integers.set(name, { ...centred, name: floats })
        kit.made.set(name, centred.dtype)
        cast(kit, kit.op('Add', [floats, scalarLike(kit, floats, centred.zero)]), centred.dtype, name)
      },
    }
  return signedSource(kit, x)
}

/** TensorRT has int8 between QuantizeLinear and DequantizeLinear only. */
function signedSource(kit: Kit, x: string): Source | undefined {
  const moved = kit.symmetric.get(x)
  const isSigned = moved === undefined && kit.type(x) === 'int8' && !kit.find(x)
  if (moved === undefined && !isSigned) return undefined
  const parameters = () => [kit.constant('float32', [], Float32Array.of(1)), kit.constant('int8', [], Int8Array.of(0))]
  return {
    floats: () => kit.op('DequantizeLinear', [moved ?? x, ...parameters()]),
    keep(name, floats) {
      const output = isSigned ? name : undefined
      const signed = kit.op('QuantizeLinear', [floats, ...parameters()], { output })
      kit.made.set(name, isSigned ? 'int8' : 'uint8')
      if (isSigned) return
      kit.symmetric.set(name, signed)
      const sum = kit.op('Add', [cast(kit, signed, 'float32'), scalarLike(kit, floats, 128)])
      cast(kit, sum, 'uint8', name)
    },
  }
}

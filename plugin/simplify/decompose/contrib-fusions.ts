import { floatAttribute, intAttribute, newAttribute } from '../../onnx/attribute.ts'
import type { Node } from '../../onnx/proto.ts'
import { type Kit, reduce, scalarLike, transpose } from './kit.ts'

// Operators of the domain com.microsoft that fuse standard ones: exporters for ONNX Runtime leave them.

/** SkipLayerNormalization and SkipSimplifiedLayerNormalization: a sum, normalized. */
export function decomposeSkipNormalization(node: Node, kit: Kit): boolean {
  const isSimplified = node.opType.includes('Simplified')
  const [x = '', skip = '', scale = '', ...rest] = node.input
  const [shift, bias] = isSimplified ? ['', rest[0]] : [rest[0], rest[1]]
  const [y = '', mean, deviation, sum] = node.output
  if (kit.isRead(mean) || kit.isRead(deviation)) return false
  const added = kit.op('Add', [x, skip], { output: bias ? undefined : read(kit, sum) })
  const total = bias ? kit.op('Add', [added, bias], { output: read(kit, sum) }) : added
  const epsilon = newAttribute('epsilon', { float: floatAttribute(node, 'epsilon') ?? 1e-12 })
  if (!isSimplified && kit.opset >= 17) {
    const attributes = [newAttribute('axis', { int: -1 }), epsilon]
    kit.op('LayerNormalization', shift ? [total, scale, shift] : [total, scale], { attributes, output: y })
    return true
  }
  const centred = isSimplified ? total : kit.op('Sub', [total, reduce(kit, 'ReduceMean', total)])
  const variance = reduce(kit, 'ReduceMean', kit.op('Mul', [centred, centred]))
  const root = kit.op('Sqrt', [kit.op('Add', [variance, scalarLike(kit, x, epsilon.f)])])
  const normal = kit.op('Div', [centred, root])
  const scaled = kit.op('Mul', [normal, scale], { output: shift ? undefined : y })
  if (shift) kit.op('Add', [scaled, shift], { output: y })
  return true
}

/** Gelu by the error function, of x or of x and a bias. */
export function decomposeGelu({ input, output }: Node, kit: Kit): boolean {
  const [x = '', bias = ''] = input
  const value = bias === '' ? x : kit.op('Add', [x, bias])
  const part = kit.op('Erf', [kit.op('Mul', [value, scalarLike(kit, x, Math.SQRT1_2)])])
  const half = kit.op('Mul', [value, scalarLike(kit, x, 0.5)])
  kit.op('Mul', [half, kit.op('Add', [part, scalarLike(kit, x, 1)])], { output: output[0] })
  return true
}

/** Gelu by the hyperbolic tangent. */
export function decomposeFastGelu({ input, output }: Node, kit: Kit): boolean {
  const [x = '', bias = ''] = input
  const value = bias === '' ? x : kit.op('Add', [x, bias])
  const cube = kit.op('Mul', [kit.op('Mul', [value, value]), value])
  const inner = kit.op('Add', [value, kit.op('Mul', [cube, scalarLike(kit, x, 0.044715)])])
  const part = kit.op('Tanh', [kit.op('Mul', [inner, scalarLike(kit, x, Math.sqrt(2 / Math.PI))])])
  const half = kit.op('Mul', [value, scalarLike(kit, x, 0.5)])
  kit.op('Mul', [half, kit.op('Add', [part, scalarLike(kit, x, 1)])], { output: output[0] })
  return true
}

/** x * sigmoid(alpha * x). */
export function decomposeQuickGelu(node: Node, kit: Kit): boolean {
  const [x = ''] = node.input
  const alpha = scalarLike(kit, x, floatAttribute(node, 'alpha') ?? 1.702)
  kit.op('Mul', [x, kit.op('Sigmoid', [kit.op('Mul', [x, alpha])])], { output: node.output[0] })
  return true
}

/** A product of matrices that may be transposed, times a factor. */
export function decomposeFusedMatMul(node: Node, kit: Kit): boolean {
  if (intAttribute(node, 'transBatchA') || intAttribute(node, 'transBatchB')) return false
  const sides = (['transA', 'transB'] as const).map((name, index) => {
    const value = node.input[index] ?? ''
    if (!intAttribute(node, name)) return value
    const rank = kit.dims(value)?.length
    if (rank === undefined) return undefined
    // The transpose of a vector is the vector.
    const perm = Array.from({ length: rank }, (_, axis) => axis)
    return rank < 2 ? value : transpose(kit, value, [...perm.slice(0, -2), rank - 1, rank - 2])
  })
  const [left, right] = sides
  if (left === undefined || right === undefined) return false
  const alpha = floatAttribute(node, 'alpha') ?? 1
  if (alpha === 1) kit.op('MatMul', [left, right], { output: node.output[0] })
  else
    kit.op('Mul', [kit.op('MatMul', [left, right]), scalarLike(kit, node.input[0] ?? '', alpha)], {
      output: node.output[0],
    })
  return true
}

function read(kit: Kit, output: string | undefined): string | undefined {
  return kit.isRead(output) ? output : undefined
}

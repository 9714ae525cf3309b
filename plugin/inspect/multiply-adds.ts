import { elementCount } from '../../runtime/dtype.ts'
import { intAttribute, stringAttribute } from '../onnx/attribute.ts'
import type { Node } from '../onnx/proto.ts'

/** The dims of a value; undefined when they are not known. */
export type DimsOf = (name: string) => readonly number[] | undefined

type Dims = readonly number[]

/** The dims of a node's inputs and outputs, by position. */
interface Operands {
  readonly node: Node
  input(index: number): Dims | undefined
  output(index: number): Dims | undefined
}

type Rule = (operands: Operands) => number | undefined

const conv = (weights: number): Rule => whenKnown([weights], ([w], [y]) => elementCount(y) * elementCount(w.slice(1)))

const product = (first: number): Rule => whenKnown([first], ([a], [y]) => elementCount(y) * (a.at(-1) ?? 1))

// Every step multiplies one row by all weights of its direction, and its state by all recurrent ones.
const recurrent: Rule = whenKnown([0, 1, 2], ([x, w, r]) => {
  const [steps = 0, batch = 0] = x
  return steps * batch * (elementCount(w) + elementCount(r))
})

/**
 * Multiply-adds of the operators that multiply matrices, from the shapes of a node. All other operators do no more than
 * a few operations for each element: they count as none.
 */
const rules: Readonly<Record<string, Rule>> = {
  Conv: conv(1),
  FusedConv: conv(1),
  NhwcFusedConv: conv(1),
  ConvInteger: conv(1),
  QLinearConv: conv(3),
  ConvTranspose: whenKnown([0, 1], ([x, w]) => elementCount(x) * elementCount(w.slice(1))),
  DeformConv: conv(1),
  MatMul: product(0),
  FusedMatMul: product(0),
  MatMulInteger: product(0),
  DynamicQuantizeMatMul: product(0),
  MatMulNBits: product(0),
  QLinearMatMul: product(0),
  Gemm: ({ node, input, output }) => {
    const [a, y] = [input(0), output(0)]
    return a && y && elementCount(y) * (a[intAttribute(node, 'transA') === 1 ? 0 : 1] ?? 1)
  },
  LSTM: recurrent,
  GRU: recurrent,
  RNN: recurrent,
  Einsum: einsum,
}

/** Operators that multiply matrices in a way that is not counted. */
const uncounted: ReadonlySet<string> = new Set([
  'Attention',
  'MultiHeadAttention',
  'GroupQueryAttention',
  'QAttention',
  'PackedAttention',
  'LinearAttention',
])

/** Multiply-adds of a node; undefined when a shape is missing or its operator is not counted. */
export function multiplyAddsOf(node: Node, dimsOf: DimsOf): number | undefined {
  if (uncounted.has(node.opType)) return undefined
  const rule = Object.hasOwn(rules, node.opType) ? rules[node.opType] : undefined
  if (!rule) return 0
  return rule({
    node,
    input: (index) => dimsOf(node.input[index] ?? ''),
    output: (index) => dimsOf(node.output[index] ?? ''),
  })
}

/** A rule of the dims of some inputs and of output 0. */
function whenKnown<const P extends readonly number[]>(
  positions: P,
  count: (inputs: { readonly [K in keyof P]: Dims }, outputs: readonly [Dims]) => number,
): Rule {
  return ({ input, output }) => {
    const inputs = positions.map(input)
    const y = output(0)
    if (!y || inputs.includes(undefined)) return undefined
    return count(inputs as { readonly [K in keyof P]: Dims }, [y])
  }
}

// Each letter of the equation is a loop. Ellipses stand for dims without letters, which are not counted.
function einsum({ node, input }: Operands): number | undefined {
  const equation = stringAttribute(node, 'equation')?.replaceAll(' ', '') ?? ''
  const terms = equation.split('->')[0]?.split(',') ?? []
  if (equation.includes('.')) return undefined
  const sizes = new Map<string, number>()
  for (const [index, term] of terms.entries()) {
    const dims = input(index)
    if (!dims) return undefined
    for (const [axis, letter] of [...term].entries()) sizes.set(letter, dims[axis] ?? 1)
  }
  return terms.length < 2 ? 0 : [...sizes.values()].reduce((count, size) => count * size, 1)
}

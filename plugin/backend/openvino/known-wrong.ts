import { intAttribute, intsAttribute, stringAttribute } from '../../onnx/attribute.ts'
import type { Elements } from '../../onnx/content.ts'
import type { GraphFacts } from '../../onnx/graph-facts.ts'
import type { Node } from '../../onnx/proto.ts'
import type { KnownWrong } from '../known-wrong.ts'

const release = '2026.4.1'

/**
 * What OpenVINO computes wrong without an error. Each row has a smallest model in test/openvino/known-wrong.test.ts,
 * which fails once a release computes it right: then the row goes.
 */
export const knownWrong: readonly KnownWrong[] = [
  {
    release,
    operators: ['RotaryEmbedding'],
    reason: 'OpenVINO does not look up the position ids',
    matches: ({ input }) => (input[3] ?? '') !== '',
  },
  {
    release,
    operators: ['AveragePool'],
    reason: 'OpenVINO divides windows that ceil_mode adds at the edge by another count of elements',
    matches: (node, facts) =>
      intAttribute(node, 'ceil_mode') === 1 && intAttribute(node, 'count_include_pad') === 1 && overhangs(node, facts),
  },
  {
    release,
    operators: ['Resize'],
    reason: 'OpenVINO ignores antialias',
    matches: async (node, facts) =>
      intAttribute(node, 'antialias') === 1 &&
      (stringAttribute(node, 'mode') ?? 'nearest') !== 'nearest' &&
      elementsAre(await facts.elementsOf(node.input[2] ?? ''), (scale) => scale > 0 && scale < 1),
  },
  {
    release,
    operators: ['Resize'],
    reason: 'OpenVINO ignores exclude_outside',
    matches: (node) => intAttribute(node, 'exclude_outside') === 1 && stringAttribute(node, 'mode') === 'cubic',
  },
  {
    release,
    operators: ['Resize'],
    reason: 'OpenVINO ignores keep_aspect_ratio_policy',
    matches: (node) => (stringAttribute(node, 'keep_aspect_ratio_policy') ?? 'stretch') !== 'stretch',
  },
  {
    release,
    operators: ['Add', 'Sub', 'Mul'],
    reason: 'OpenVINO saturates 8-bit integers instead of wrapping them',
    matches: (node, facts) => wraps(node, facts),
  },
  {
    release,
    operators: ['TopK'],
    reason: 'OpenVINO gives the indices of equal values in another order',
    matches: ({ input, output }, facts) => facts.isUsed(output[1] ?? '') && isFromBool(input[0] ?? '', facts),
  },
  {
    release,
    operators: ['Div', 'Mod'],
    reason: 'OpenVINO divides integers in float32, which does not hold this constant',
    matches: (node, facts) =>
      integers.has(facts.dtypeOf(node.input[0] ?? '') ?? '') &&
      anyConstant(node, facts, {
        dtypes: integers,
        test: (value) => !isExtreme(value) && Math.fround(value) !== value,
      }),
  },
  {
    release,
    operators: ['Add', 'Sub', 'Mul', 'Div', 'Mod', 'Gather', 'GatherElements', 'GatherND', 'Where', 'Concat'],
    reason: 'OpenVINO computes integers in 32 bits, which do not hold this constant',
    matches: (node, facts) => anyConstant(node, facts, { dtypes: wideIntegers, test: isBeyond32Bits }),
  },
  {
    release,
    operators: ['Cast'],
    reason: 'OpenVINO computes integers in 32 bits, which do not hold this constant',
    matches: (node, facts) =>
      wideIntegers.has(facts.dtypeOf(node.output[0] ?? '') ?? '') &&
      anyConstant(node, facts, { dtypes: plainNumbers, test: isBeyond32Bits }),
  },
]

/** Whether a window hangs over the edge for which ceil_mode rounds up. Where a dim is not known it may not. */
function overhangs(node: Node, { dimsOf }: GraphFacts): boolean {
  const kernel = intsAttribute(node, 'kernel_shape') ?? []
  const axes = kernel.length
  const strides = intsAttribute(node, 'strides') ?? kernel.map(() => 1)
  const dilations = intsAttribute(node, 'dilations') ?? kernel.map(() => 1)
  const pads = intsAttribute(node, 'pads') ?? [...kernel, ...kernel].map(() => 0)
  const sizes = dimsOf(node.input[0] ?? '')?.slice(-axes) ?? []
  const auto = stringAttribute(node, 'auto_pad') ?? 'NOTSET'
  return kernel.some((size, axis) => {
    const [own, stride, before, after] = [sizes[axis], strides[axis]!, pads[axis]!, pads[axis + axes]!]
    if (!own || auto !== 'NOTSET') return false
    const rest = own + before + after - ((size - 1) * dilations[axis]! + 1)
    const start = Math.ceil(rest / stride) * stride
    // A window that begins in the padding at the end is left out.
    return rest >= 0 && rest % stride !== 0 && start < own + before
  })
}

/** Whether some values of an input of the model give a result that 8 bits do not hold. */
async function wraps({ opType, input }: Node, facts: GraphFacts): Promise<boolean> {
  const range = byteRanges.get(facts.dtypeOf(input[0] ?? '') ?? '')
  const roots = input.map((name) => facts.rootOf(name))
  const given = roots.map((root) => facts.isInput(root))
  if (!range || !given.includes(true)) return false
  if (!given.includes(false)) return roots[0] !== roots[1] || opType !== 'Sub'
  const constant = await facts.elementsOf(roots[given.indexOf(false)]!)
  const results = resultsOf[opType as keyof typeof resultsOf]
  return elementsAre(constant, (value) =>
    range.some((extreme) => {
      const result = given[0] ? results(extreme, value) : results(value, extreme)
      return result < range[0] || result > range[1]
    }),
  )
}

const byteRanges: ReadonlyMap<string, readonly [number, number]> = new Map([
  ['uint8', [0, 255]],
  ['int8', [-128, 127]],
])

const resultsOf = {
  Add: (left: number, right: number) => left + right,
  Sub: (left: number, right: number) => left - right,
  Mul: (left: number, right: number) => left * right,
} as const

function isFromBool(value: string, facts: GraphFacts): boolean {
  const root = facts.rootOf(value)
  const producer = facts.producerOf(root)
  return producer?.opType === 'Cast' && facts.dtypeOf(producer.input[0] ?? '') === 'bool'
}

const integers: ReadonlySet<string> = new Set(['int32', 'int64', 'uint32', 'uint64'])
const wideIntegers: ReadonlySet<string> = new Set(['int64', 'uint64'])
/** Dtypes whose elements are numbers as they are; 16-bit floats are read as bits. */
const plainNumbers: ReadonlySet<string> = new Set(['float32', 'float64', ...integers])

/** Whether a number stands for 'all' or 'none', as exporters write it. OpenVINO's own limits then mean the same. */
function isExtreme(value: number): boolean {
  return Math.abs(value) >= 2 ** 63 - 1024 || Math.abs(value) === 2 ** 31 || value === 2 ** 31 - 1
}

function isBeyond32Bits(value: number): boolean {
  return !isExtreme(value) && (value > 2 ** 31 - 1 || value < -(2 ** 31))
}

interface ConstantTest {
  /** Others are not read: the weights of a model may be gigabytes. */
  readonly dtypes: ReadonlySet<string>
  readonly test: (value: number) => boolean
}

async function anyConstant(
  { input }: Node,
  { elementsOf, dtypeOf }: GraphFacts,
  { dtypes, test }: ConstantTest,
): Promise<boolean> {
  for (const name of input)
    if (dtypes.has(dtypeOf(name) ?? '') && elementsAre(await elementsOf(name), test)) return true
  return false
}

/** Whether an element passes a test. */
function elementsAre(elements: Elements | undefined, test: (value: number) => boolean): boolean {
  for (const element of elements ?? []) if (test(Number(element))) return true
  return false
}

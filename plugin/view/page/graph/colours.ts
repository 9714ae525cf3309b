import type { NodeFact } from '../../contract.ts'
import type { Box } from './visible.ts'

export const colourings = ['operator', 'precision', 'kept', 'layer', 'error', 'time'] as const
export type Colouring = (typeof colourings)[number]

export const colouringTitles: Readonly<Record<Colouring, string>> = {
  operator: 'Kind of operator',
  precision: 'Precision',
  kept: 'Why kept',
  layer: 'Fused layer',
  error: 'Share of error',
  time: 'Share of time',
}

/** A line of the legend. `hue` is the number of a colour in style.css; undefined for the neutral one. */
export type LegendEntry = { readonly label: string; readonly hue: number | undefined; readonly count: number }

export const hues = 8

const families: readonly (readonly [label: string, operators: RegExp])[] = [
  ['Convolution', /^(?:Conv|ConvTranspose|ConvInteger|QLinearConv|DeformConv|FusedConv)/],
  ['Matrix product', /^(?:MatMul|Gemm|Einsum|QLinearMatMul|FusedMatMul|Attention|MultiHeadAttention)/],
  ['Activation', /^(?:Relu|LeakyRelu|PRelu|Sigmoid|HardSigmoid|HardSwish|Tanh|Gelu|Elu|Selu|Clip|Softmax|Erf|Mish)/],
  ['Normalization', /Normalization|^LRN/],
  ['Pooling and reduction', /Pool|^Reduce|^Arg(?:Max|Min)|^TopK/],
  [
    'Shape and movement',
    /^(?:Reshape|Transpose|Concat|Split|Slice|Gather|Scatter|(?:Un)?[sS]queeze|Flatten|Expand|Pad)/,
  ],
  ['Precision and constants', /^(?:Cast|(?:De|Dynamic)?[qQ]uantize|Dynamic|Constant|Identity|Shape)/],
  ['Control flow and recurrence', /^(?:If|Loop|Scan|LSTM|GRU|RNN)/],
]

const steps = ['under 1 %', '1 to 5 %', '5 to 15 %', 'over 15 %'] as const
// Shares have a scale of their own, from calm to warm.
const shareHues: ReadonlyMap<string, number> = new Map(steps.map((label, index) => [label, hues + index]))

function stepOf(share: number): number {
  return [0.01, 0.05, 0.15].filter((bound) => share >= bound).length
}

/** The label of a box in a colouring; undefined for the neutral colour. A closed scope has that of its first node. */
export function labelOf(box: Box, colouring: Colouring, facts: ReadonlyMap<number, NodeFact>): string | undefined {
  if (colouring === 'operator') {
    if (box.scope !== undefined) return undefined
    return families.find(([, operators]) => operators.test(box.title))?.[0]
  }
  const found = box.nodes.map((node) => facts.get(node)).filter((fact) => fact !== undefined)
  if (colouring === 'error' || colouring === 'time') {
    const shares = found.map((fact) => fact[colouring]).filter((share) => share !== undefined)
    if (shares.length === 0) return undefined
    return steps[stepOf(shares.reduce((sum, share) => sum + share, 0))]
  }
  return found.map((fact) => fact[colouring]).find((label) => label !== undefined)
}

/** The lines of a legend, and the hue of each box. Labels beyond the last hue share it. */
export function colourBoxes(
  boxes: readonly Box[],
  colouring: Colouring,
  facts: ReadonlyMap<number, NodeFact>,
): { readonly legend: readonly LegendEntry[]; readonly hueOf: readonly (number | undefined)[] } {
  const labels = boxes.map((box) => labelOf(box, colouring, facts))
  const counts = new Map<string, number>()
  for (const [index, label] of labels.entries()) {
    if (label !== undefined) counts.set(label, (counts.get(label) ?? 0) + (boxes[index]?.nodes.length ?? 0))
  }
  const order = orderOf(colouring, counts)
  const hueByLabel = new Map(order.map((label, index) => [label, shareHues.get(label) ?? Math.min(index, hues - 1)]))
  return {
    legend: order.map((label) => ({ label, hue: hueByLabel.get(label), count: counts.get(label) ?? 0 })),
    hueOf: labels.map((label) => (label === undefined ? undefined : hueByLabel.get(label))),
  }
}

function orderOf(colouring: Colouring, counts: ReadonlyMap<string, number>): readonly string[] {
  if (colouring === 'operator') return families.map(([label]) => label).filter((label) => counts.has(label))
  if (colouring === 'error' || colouring === 'time') return steps.filter((label) => counts.has(label))
  return [...counts].sort((a, b) => b[1] - a[1]).map(([label]) => label)
}

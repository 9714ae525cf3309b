import type { Outcome } from './contract.ts'

/** Operators whose models a backend refuses for one reason. */
export interface RefusedOperator {
  readonly operator: string
  readonly reason: string
  /** How many cases of ONNX are refused for it, and how many others of the operator are right. */
  readonly refused: number
  readonly right: number
}

/**
 * The refusals of a backend by operator and reason, from cases of one operator. Cases that no backend takes, because
 * JavaScript cannot hold a binding, are not among them.
 */
export function refusedOperators(outcomes: readonly Outcome[]): readonly RefusedOperator[] {
  const single = outcomes.filter(({ step, operators }) => step !== 'read' && operators.length === 1)
  const right = new Map<string, number>()
  const rows = new Map<string, { operator: string; reason: string; refused: number }>()
  for (const outcome of single) {
    const operator = outcome.operators[0]!
    if (outcome.result === 'right') right.set(operator, (right.get(operator) ?? 0) + 1)
    if (outcome.result !== 'refused') continue
    const reason = reasonOf(outcome)
    const row = rows.get(`${operator} ${reason}`) ?? { operator, reason, refused: 0 }
    row.refused++
    rows.set(`${operator} ${reason}`, row)
  }
  const sorted = [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row)
  return sorted.map((row) => ({ ...row, right: right.get(row.operator) ?? 0 }))
}

/** The reason of a refusal in words that hold for others of its kind. */
export function reasonOf({ step, reason = '' }: Pick<Outcome, 'step' | 'reason'>): string {
  const [, text] = reasons.find(([pattern]) => pattern.test(`${step} ${reason}`)) ?? []
  if (text !== undefined) return text
  throw new Error(`no reason in the list is like this: ${step} ${reason}`)
}

/** The first that fits. */
const reasons: readonly (readonly [RegExp, string])[] = [
  [/No conversion rule found/, 'OpenVINO does not have it'],
  [/^plan .*received string/, 'strings as inputs or outputs'],
  [/^plan .*always 0/, 'inputs that are always empty'],
  [/^plan .*with openvino: OpenVINO/, 'known to be wrong, see above'],
  [/^compile .*/s, 'OpenVINO cannot compile it'],
  [/^compare VERIFICATION_FAILED/, 'other numbers than ONNX Runtime'],
  [/^compare INFERENCE_FAILED/, 'the engine fails where ONNX Runtime runs'],
  [/^compare NOT_COMPARED: ONNX Runtime cannot run/, 'ONNX Runtime cannot run it, so nothing was compared'],
  [/^compare NOT_COMPARED: the fp32 model/, 'no random inputs fit, so it takes samples to compare it'],
  [/^compare NOT_COMPARED: the engine refuses/, 'the engine refuses the inputs that ONNX Runtime takes'],
  [/^compare NOT_COMPARED: the engine cannot be opened/, 'the engine does not open'],
  [/^call INPUT_INVALID/, 'integers beyond 32 bits'],
  [/^call INFERENCE_FAILED/, 'the engine fails where ONNX Runtime runs'],
  [/^open /, 'the engine does not open'],
]

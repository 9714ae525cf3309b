import { columns, plain } from '../terminal/table.ts'
import { count, quote, shorten } from '../text.ts'
import type { NodeComparison } from '../verify/compare-nodes.ts'
import { outputRows, verificationError } from '../verify/verdict.ts'
import type { ComparedEngine } from './compare-engines.ts'

/** Text of `unplugin-onnx verify` for one engine: the summary, its outputs, what was tried, and the values inside. */
export function engineText({ request, against, lines, verification, nodes, saved }: ComparedEngine): string {
  const text = [...lines.slice(0, -1), `${lines.at(-1) ?? ''}, compared with ${against}`]
  if (verification && verification.skipped === undefined) {
    const isTooFar = verification.failures.length > 0
    text.push(...(isTooFar ? [verificationError(request, verification).message] : outputRows(verification.outputs)))
    text.push(...verification.tried.map((draw) => `  tried ${draw}`))
    const { inputs, outputs } = verification.unvaried
    const unvaried = [
      ...inputs.map((name) => `input ${quote(name)}`),
      ...outputs.map((name) => `output ${quote(name)}`),
    ]
    if (unvaried.length > 0) text.push(`  never varied: ${unvaried.join(', ')}`)
  }
  if (nodes) text.push(...nodesText(nodes))
  if (saved.length > 0)
    text.push(`  saved ${count(saved.length, 'file')}: ${plain(saved[0]!)} to ${plain(saved.at(-1)!)}`)
  return text.join('\n')
}

/** A table of the values, and under it what the marks mean. */
function nodesText(nodes: readonly NodeComparison[]): readonly string[] {
  if (nodes.length === 0) return ['  the main graph has no values to compare']
  const first = nodes.find(({ comparison, problem }) => comparison && problem !== undefined)
  const head = ['', 'node', 'operator', 'value', 'max abs', 'of', 'cosine', '']
  const table = columns([head, ...nodes.map((node) => rowOf(node, node === first))]).map((row) => row.trimEnd())
  const missing = nodes.filter(({ comparison }) => !comparison).length
  const notes = missing > 0 ? [`  ${count(missing, 'value')} could not be compared`] : []
  if (!first) return [...table, '  no value differs', ...notes]
  const where = `${quote(first.node)} (${plain(shorten(first.operator))})`
  return [...table, `  ${where} is the first that differs: ${quote(first.name)} ${first.problem}`, ...notes]
}

function rowOf({ node, operator, name, comparison, problem }: NodeComparison, isFirst: boolean): readonly string[] {
  // A hostile name may be megabytes long, and all cells of a column get its width.
  const names = [node, operator, name].map((text) => plain(shorten(text)))
  if (!comparison) return ['?', ...names, '', '', '', `not compared: ${problem.split('\n', 1)[0]}`]
  const { maxAbs, largest, cosine, constant, trouble, compared } = comparison
  const figures = trouble
    ? ['', '', '']
    : [maxAbs === null ? 'not finite' : maxAbs.toExponential(1), largest.toPrecision(3), cosine.toFixed(6)]
  const notes = [
    ...(trouble ? [trouble] : []),
    ...(compared === 0 && !trouble ? ['no numbers'] : []),
    ...(constant ? ['never varied'] : []),
  ]
  return [markOf(problem, isFirst), ...names, ...figures, notes.join(', ')]
}

/** '>' for the first value that differs, '*' for the others. */
function markOf(problem: string | undefined, isFirst: boolean): string {
  if (problem === undefined) return ''
  return isFirst ? '>' : '*'
}

import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { OnnxEngineError, textOf } from '../../runtime/errors.ts'
import type { CheckedTensor } from '../../runtime/session.ts'
import { describeValue } from '../../runtime/text.ts'

/** What a metric gets: tensors by the name of their input or output. */
export type MetricTensors = Readonly<Record<string, CheckedTensor>>

/**
 * The default export of a module of `verify.metric`: how good the engine is on one sample, with the fp32 model as the
 * truth.
 */
export type Metric = (
  reference: MetricTensors,
  candidate: MetricTensors,
  inputs: MetricTensors,
) => number | Promise<number>

/** What a metric said of all samples. A type, not an interface: it is kept as JSON. */
export type MetricResult = {
  /** As the user wrote it. */
  readonly module: string
  readonly mean: number
  /** The worst sample: its number, counted from 1, and what the metric said of it. */
  readonly worst: { readonly sample: number; readonly value: number }
  readonly limit: MetricLimit
}

/** The limit of the mean. */
export type MetricLimit = { readonly atLeast: number } | { readonly atMost: number }

/** Counts what a metric says while samples come in. */
export interface MetricCount {
  add(reference: Tensors, candidate: Tensors, inputs: Tensors): Promise<void>
  /** Undefined before the first sample. */
  result(): MetricResult | undefined
}

type Tensors = ReadonlyMap<string, CheckedTensor>

/**
 * Opens the module of `verify.metric`. Throws OPTION_INVALID for a module without a function and one limit, and
 * VERIFICATION_FAILED from `add` when the metric throws or gives no number.
 */
export async function openMetric(file: string, text: string): Promise<MetricCount> {
  const where = `option 'verify.metric': ${text}`
  const module = await load(file).catch((cause: unknown) => {
    throw new OnnxEngineError('OPTION_INVALID', where, {
      expected: 'a module that can be loaded',
      received: textOf(cause),
      cause,
    })
  })
  const { metric, limit } = checked(module, where)
  const values: number[] = []
  return {
    async add(reference, candidate, inputs) {
      const value = await measure(metric, [reference, candidate, inputs], `${where}, sample ${values.length + 1}`)
      values.push(value)
    },
    result() {
      if (values.length === 0) return undefined
      const worst = 'atLeast' in limit ? Math.min(...values) : Math.max(...values)
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length
      return { module: text, mean, worst: { sample: values.indexOf(worst) + 1, value: worst }, limit }
    },
  }
}

/** Why the engine is not good enough, in words; undefined when it is. */
export function metricProblem({ module, mean, worst, limit }: MetricResult): string | undefined {
  const isGood = 'atLeast' in limit ? mean >= limit.atLeast : mean <= limit.atMost
  if (isGood) return undefined
  const bound = 'atLeast' in limit ? `less than ${limit.atLeast}` : `more than ${limit.atMost}`
  const of = `on average, and ${number(worst.value)} on sample ${worst.sample}`
  return `the metric ${module} is ${number(mean)} ${of}, ${bound}`
}

function number(value: number): string {
  return String(Number(value.toPrecision(5)))
}

async function load(file: string): Promise<Readonly<Record<string, unknown>>> {
  if (!/\.[cm]?tsx?$/.test(file)) return (await import(pathToFileURL(file).href)) as Record<string, unknown>
  // Node.js 20 reads no TypeScript.
  const { createJiti } = createRequire(import.meta.url)('jiti') as typeof import('jiti')
  return createJiti(file, { moduleCache: false, fsCache: false, interopDefault: false }).import(file)
}

function checked(
  { default: metric, atLeast, atMost }: Readonly<Record<string, unknown>>,
  where: string,
): { readonly metric: Metric; readonly limit: MetricLimit } {
  if (typeof metric !== 'function')
    throw new OnnxEngineError('OPTION_INVALID', where, {
      expected: 'a default export that is a function (reference, candidate, inputs) => number',
      received: describeValue(metric),
    })
  const limits = Object.entries({ atLeast, atMost }).filter(([, limit]) => limit !== undefined)
  const [limit] = limits
  if (limits.length !== 1 || !Number.isFinite(limit?.[1]))
    throw new OnnxEngineError('OPTION_INVALID', where, {
      expected: `'export const atLeast' or 'export const atMost' with a number, one of the two`,
      received: limits.map(([name, value]) => `${name}: ${describeValue(value)}`).join(', ') || 'none',
    })
  return { metric: metric as Metric, limit: Object.fromEntries(limits) as unknown as MetricLimit }
}

async function measure(metric: Metric, tensors: readonly Tensors[], where: string): Promise<number> {
  const [reference = {}, candidate = {}, inputs = {}] = tensors.map((map) => Object.fromEntries(map))
  const value: unknown = await Promise.resolve()
    .then(() => metric(reference, candidate, inputs))
    .catch((cause: unknown) => {
      throw new OnnxEngineError('VERIFICATION_FAILED', where, {
        expected: 'a metric that runs',
        received: textOf(cause),
        cause,
      })
    })
  if (typeof value === 'number' && Number.isFinite(value)) return value
  throw new OnnxEngineError('VERIFICATION_FAILED', where, {
    expected: 'a finite number',
    received: typeof value === 'number' ? String(value) : describeValue(value),
    hint: 'Give a number for every sample, also where nothing is found',
  })
}

import { readFile } from 'node:fs/promises'
import * as v from 'valibot'
import { quote, shorten } from '../../text.ts'
import type { OutputFigures } from '../contract.ts'

/** What a page shows of a report of the verification. */
export interface VerificationFigures {
  readonly outputs: readonly OutputFigures[]
  /** Where an error arose that no few nodes explain: the nodes from `first` to `last`. */
  readonly parts: readonly ErrorPart[]
}

export type ErrorPart = v.InferOutput<typeof part>

/** Reads a report that a build kept next to its engine. One of another version, or a damaged one, shows nothing. */
export async function verificationFigures(file: string | undefined): Promise<VerificationFigures> {
  const none = { outputs: [], parts: [] }
  if (file === undefined) return none
  const parsed = v.safeParse(schema, await readFile(file, 'utf8').catch(() => undefined))
  if (!parsed.success) return none
  const { outputs, failures, spread } = parsed.output
  const figures = outputs.map(({ name, cosine, maxAbs, largest }) => ({
    output: shorten(name, 300),
    cosine,
    maxError: maxAbs,
    relativeError: maxAbs === null || largest === 0 ? null : maxAbs / largest,
    isWithinLimits: !failures.some((line) => line.includes(quote(name))),
  }))
  return { outputs: figures, parts: spread?.worst ?? [] }
}

const part = v.object({ first: v.string(), last: v.string(), count: v.number(), share: v.nullable(v.number()) })
const output = v.object({
  name: v.string(),
  cosine: v.nullable(v.number()),
  maxAbs: v.nullable(v.number()),
  largest: v.number(),
})
const schema = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({
    outputs: v.array(output),
    failures: v.array(v.string()),
    spread: v.nullish(v.object({ worst: v.array(part) })),
  }),
)

import { createHash } from 'node:crypto'
import type { BackendName } from '../../runtime/manifest.ts'
import type { Shapes } from '../options/types.ts'

/** Named facts in a flat record, so that two keys can be compared field by field and a difference put into words. */
export type Facts = Readonly<Record<string, string | number | boolean | readonly string[] | readonly number[]>>

/** A content key: the digest names the entry, the facts explain it. */
export interface CacheKey {
  /** Lower-case hex SHA-256 of the canonical JSON of the facts. */
  readonly digest: string
  readonly facts: Facts
}

export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json }

/** What the bytes of a model are, by content alone: `digestSource` makes it. */
export interface SourceDigest {
  /** SHA-256 of the .onnx file. */
  readonly model: string
  /** SHA-256 of the .onnx file without the bytes of its weights, for 'graph changed' or 'weights changed'. */
  readonly graph: string
  /** SHA-256 of the byte ranges that the model uses of each external data file; `location` is relative to the model. */
  readonly external: readonly { readonly location: string; readonly sha256: string }[]
}

/**
 * A rewrite of the graph, with its options resolved: an option that was set to its default looks as if it was not set.
 */
export interface Pass {
  readonly name: string
  /** Raised whenever the pass gives another graph for the same input. */
  readonly version: number
  readonly options: Readonly<Record<string, Json>>
}

/** Raised when the meaning of a fact changes. */
const schema = 1

/**
 * The key of these facts. The order of the names does not matter, the order inside a list does. Facts describe
 * contents, never places or times: no absolute path, no mtime, no GPU UUID.
 */
export function cacheKey(facts: Facts): CacheKey {
  return { digest: createHash('sha256').update(canonicalJson(facts)).digest('hex'), facts }
}

/** The K0 facts: the bytes of the model and of its external data. */
export function sourceFacts({ model, graph, external }: SourceDigest): Facts {
  return { schema, model, graph, external: external.map(({ location, sha256 }) => `${location}=${sha256}`).sort() }
}

/** The K1 facts: the source, what is rewritten in which order, and the dims that are fixed. */
export function graphFacts(
  source: Facts,
  { passes, shapes }: { readonly passes: readonly Pass[]; readonly shapes: Shapes },
): Facts {
  return combine(source, {
    passes: passes.map(({ name, version, options }) => `${name}@${version}=${canonicalJson(options)}`),
    shapes: Object.entries(shapes)
      .map(([input, dims]) => `${input}=${dims.join('x')}`)
      .sort(),
  })
}

/** Engine facts: those of the graph, and all that a backend's plan says about the compilation. */
export function engineFacts(graph: Facts, backend: BackendName, plan: Facts): Facts {
  return combine(graph, { backend }, plan)
}

/**
 * JSON with sorted names and no white space: equal values give equal text. Throws TypeError for what JSON would lose.
 */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map((item: Json) => canonicalJson(item)).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
    return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonicalJson(field)}`).join(',')}}`
  }
  if (value === undefined || (typeof value === 'number' && !Number.isFinite(value))) {
    throw new TypeError(`a key cannot hold ${String(value)}`)
  }
  return JSON.stringify(value)
}

// Two stages that use one name for different facts would hide one of them from the key.
function combine(...stages: readonly Facts[]): Facts {
  const facts: Record<string, Facts[string]> = {}
  for (const [name, value] of stages.flatMap((stage) => Object.entries(stage))) {
    if (Object.hasOwn(facts, name)) throw new TypeError(`two stages of a key name the fact ${name}`)
    facts[name] = value
  }
  return facts
}

import { inspect } from 'node:util'
import * as v from 'valibot'
import { type ErrorCode, OnnxEngineError } from '../../runtime/errors.ts'
import { nearest } from '../../runtime/nearest.ts'
import { byName, didYouMean, shorten } from '../text.ts'

/**
 * Checks a value and fills in defaults. Throws the first violation as an error of `code`; `subject` turns the path of
 * keys into the beginning of its message.
 */
export function validate<S extends v.GenericSchema>(
  schema: S,
  value: unknown,
  code: ErrorCode,
  subject: (path: readonly PropertyKey[]) => string,
): v.InferOutput<S> {
  const result = v.safeParse(schema, value, firstIssue)
  if (result.success) return result.output
  const [issue] = result.issues
  // An object may have no text at all.
  const given = typeof issue.input === 'object' ? '' : String(issue.input)
  const near = nearest(given, issue.message.replace('one of ', '').split(', '))
  throw new OnnxEngineError(code, subject(issue.path?.map(({ key }) => key as PropertyKey) ?? []), {
    expected: issue.message,
    received: shorten(inspect(issue.input, { depth: 1, breakLength: Infinity, maxStringLength: 80 }), 120),
    hint: didYouMean(near),
  })
}

/** A schema for each key of an interface. */
export type SchemasOf<T> = { readonly [K in keyof Required<T>]: v.GenericSchema<T[K], unknown> }

/** A name from a list. */
export function oneOf<const L extends readonly string[]>(list: L): v.PicklistSchema<L, string> {
  return v.picklist(list, `one of ${list.join(', ')}`)
}

/** A list without duplicates. */
export function uniqueList<T>(item: v.GenericSchema<T>): v.GenericSchema<T[]> {
  return v.pipe(
    v.array(item),
    v.check((items) => new Set(items).size === items.length, 'no name twice'),
  )
}

/** A plain object with these keys and no others; a key whose value is undefined counts as absent. */
export function section<const E extends v.ObjectEntries>(entries: E): Section<E> {
  const known = Object.keys(entries).join(', ')
  const strict = v.strictObject(entries, (issue) =>
    issue.expected === 'never' ? `one of ${known}` : `the keys ${known}`,
  )
  return v.pipe(
    v.custom<v.InferInput<typeof strict>>(isPlainObject, 'an object'),
    strict,
    v.transform(withoutUndefined),
  )
}

export type Section<E extends v.ObjectEntries> = v.GenericSchema<
  v.InferInput<v.StrictObjectSchema<E, undefined>>,
  v.InferOutput<v.StrictObjectSchema<E, undefined>>
>

/**
 * A record by names that users choose. Valibot's own would drop `constructor` and `__proto__`, which are legal input
 * names.
 */
export function recordOf<In, Out>(
  value: v.GenericSchema<In, Out>,
): v.GenericSchema<Readonly<Record<string, In>>, Readonly<Record<string, Out>>> {
  return v.pipe(
    v.custom<Readonly<Record<string, In>>>(isPlainObject, 'an object'),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const entries: [string, Out][] = []
      for (const [key, entry] of Object.entries(dataset.value)) {
        const result = v.safeParse(value, entry, firstIssue)
        if (!result.success) {
          const [{ message, input, path = [] }] = result.issues
          addIssue({
            message,
            input,
            path: [{ type: 'object', origin: 'value', input: dataset.value, key, value: entry }, ...path],
          })
          return NEVER
        }
        entries.push([key, result.output])
      }
      return byName(entries)
    }),
  )
}

/** Text that can be a path. */
export const filePath: v.GenericSchema<string> = v.pipe(
  v.string(),
  v.check((text) => text !== '', 'a path'),
)

/** A whole number within these bounds. */
export function wholeNumber(least: number, most: number = Infinity): v.GenericSchema<number> {
  const isWithin = (value: number) => Number.isSafeInteger(value) && value >= least && value <= most
  const upTo = most === Infinity ? '' : ` to ${most}`
  return v.pipe(v.number(), v.check(isWithin, `a whole number from ${least}${upTo}`))
}

const byteUnits = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 }
const timeUnits = { ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86_400e3 }

/** A size in bytes, or text such as the example. */
export function byteCount(example: string): v.GenericSchema<number | string, number> {
  return quantity(byteUnits, `a positive number of bytes, or text such as '${example}'`)
}

/** A time in milliseconds, or text such as the example. */
export function duration(example: string): v.GenericSchema<number | string, number> {
  return quantity(timeUnits, `a positive number of milliseconds, or text such as '${example}'`)
}

/** A positive number, as a number or as text with a unit ('5GB', '30d'). Infinity means no limit. */
function quantity(units: Readonly<Record<string, number>>, phrase: string): v.GenericSchema<number | string, number> {
  return v.pipe(
    v.union([v.number(), v.string()], phrase),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const [, count, unit = ''] = /^(\d+(?:\.\d+)?) ?([A-Za-z]+)$/.exec(String(dataset.value)) ?? []
      const amount =
        typeof dataset.value === 'number'
          ? dataset.value
          : Number(count) * (Object.hasOwn(units, unit) ? (units[unit] ?? NaN) : NaN)
      if (amount > 0) return amount
      addIssue({ message: phrase })
      return NEVER
    }),
  )
}

// The message of an issue is only what was expected; `validate` makes the sentence.
const firstIssue: v.Config<v.BaseIssue<unknown>> = {
  abortEarly: true,
  message: (issue) => issue.expected ?? 'another value',
}

// Another realm (a config file in a vm context) has another Object.prototype, so the length of the chain decides.
function isPlainObject(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

function withoutUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as T
}

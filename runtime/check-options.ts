import { OnnxEngineError, refuseUnreadable } from './errors.ts'
import { describeValue, didYouMean, quote } from './text.ts'

/** What an option may be. */
export interface Rule {
  readonly expected: string
  readonly accepts: (value: unknown) => boolean
}

/** A copy of the options. Throws OPTION_INVALID for an unknown key or a wrong value. */
export function checkOptions<O extends object>(subject: string, options: O, rules: Readonly<Record<string, Rule>>): O {
  if (typeof options !== 'object' || options === null)
    throw new OnnxEngineError('OPTION_INVALID', subject, { expected: 'an object', received: describeValue(options) })
  const expected = 'options that can be read'
  return refuseUnreadable({ code: 'OPTION_INVALID', subject, expected }, () => {
    // A copy, so that every option is read once: what was checked is what counts.
    const checked = { ...options }
    checkValues(subject, checked, rules)
    return checked
  })
}

function checkValues(subject: string, options: object, rules: Readonly<Record<string, Rule>>): void {
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined) continue
    const rule = Object.hasOwn(rules, key) ? rules[key] : undefined
    if (!rule) {
      const names = Object.keys(rules)
      const hint = didYouMean(key, names) ?? `Known options: ${names.join(', ')}.`
      throw new OnnxEngineError('OPTION_INVALID', `${subject} ${quote(key)}`, {
        expected: 'a known option',
        hint,
      })
    }
    if (!rule.accepts(value)) {
      throw new OnnxEngineError('OPTION_INVALID', `${subject} ${quote(key)}`, {
        expected: rule.expected,
        received: typeof value === 'object' ? describeValue(value) : String(value),
      })
    }
  }
}

import { OnnxEngineError, refuseUnreadable } from './errors.ts'
import { backendNames, dimsChecks, type BackendName, type DimsCheck } from './manifest.ts'
import type { InferOptions, SessionOptions } from './session.ts'
import { describeValue, didYouMean, modelSubject, quote } from './text.ts'

/** Options of `createModel` and `loadModel`. */
export interface LoadOptions extends SessionOptions {
  /** The backend that must run the model: without it, load() rejects with NO_VARIANT instead of using another. */
  readonly require?: BackendName
  /** `'loose'` lets dims of one name differ, for models that use one name for several dims. Default: `'named'`. */
  readonly dims?: DimsCheck
}

interface Rule {
  readonly expected: string
  readonly accepts: (value: unknown) => boolean
}

const positiveInteger: Rule = {
  expected: 'a whole number from 1',
  accepts: (value) => Number.isSafeInteger(value) && Number(value) >= 1,
}

const modelRules: Readonly<Record<keyof LoadOptions, Rule>> = {
  workers: positiveInteger,
  threads: positiveInteger,
  device: { expected: 'a whole number from 0', accepts: (value) => Number.isSafeInteger(value) && Number(value) >= 0 },
  cudaGraph: { expected: `'auto' or 'off'`, accepts: (value) => value === 'auto' || value === 'off' },
  session: { expected: `'native' or 'worker'`, accepts: (value) => value === 'native' || value === 'worker' },
  library: { expected: 'a path', accepts: (value) => typeof value === 'string' && value !== '' },
  require: {
    expected: 'onnxruntime, openvino, tensorrt-rtx or tensorrt',
    accepts: (value) => backendNames.some((name) => name === value),
  },
  dims: { expected: `'named' or 'loose'`, accepts: (value) => dimsChecks.some((check) => check === value) },
}

const inferRules: Readonly<Record<keyof InferOptions, Rule>> = {
  signal: { expected: 'an AbortSignal', accepts: isAbortSignal },
  transfer: { expected: 'true or false', accepts: (value) => typeof value === 'boolean' },
}

/** Throws OPTION_INVALID for an unknown key or a wrong value. */
export function checkLoadOptions(model: string, options: LoadOptions): LoadOptions {
  return checkOptions(`${modelSubject(model)}, option`, options, modelRules)
}

/** Throws OPTION_INVALID for an unknown key or a wrong value. */
export function checkInferOptions(model: string, options: InferOptions): InferOptions {
  return checkOptions(`${modelSubject(model)}, option of infer()`, options, inferRules)
}

function checkOptions<O extends object>(subject: string, options: O, rules: Readonly<Record<string, Rule>>): O {
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

// By its members: a signal may come from another realm, as in test runners and Electron.
function isAbortSignal(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('aborted' in value)) return false
  return 'addEventListener' in value && typeof value.addEventListener === 'function'
}

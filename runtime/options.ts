import { nearest, OnnxEngineError } from './errors.ts'
import { backendNames, type BackendName } from './manifest.ts'
import type { InferOptions, SessionOptions } from './session.ts'

/** Options of `createModel` and `loadModel`. */
export interface LoadOptions extends SessionOptions {
  /** The backend that must run the model: NO_VARIANT instead of a fallback to another one. */
  readonly require?: BackendName
}

interface Rule {
  readonly expected: string
  readonly accepts: (value: unknown) => boolean
}

const count: Rule = {
  expected: 'a whole number from 1',
  accepts: (value) => Number.isSafeInteger(value) && Number(value) >= 1,
}

const modelRules: Readonly<Record<keyof LoadOptions, Rule>> = {
  workers: count,
  threads: count,
  device: { expected: 'a whole number from 0', accepts: (value) => Number.isSafeInteger(value) && Number(value) >= 0 },
  cudaGraph: { expected: `'auto' or 'off'`, accepts: (value) => value === 'auto' || value === 'off' },
  require: {
    expected: 'onnxruntime, openvino, tensorrt-rtx or tensorrt',
    accepts: (value) => backendNames.some((name) => name === value),
  },
}

const inferRules: Readonly<Record<keyof InferOptions, Rule>> = {
  signal: { expected: 'an AbortSignal', accepts: isAbortSignal },
  transfer: { expected: 'true or false', accepts: (value) => typeof value === 'boolean' },
}

/** Throws OPTION_INVALID for an unknown key or a wrong value. */
export function checkLoadOptions(model: string, options: LoadOptions): LoadOptions {
  return check(`model ${JSON.stringify(model)}, option`, options, modelRules)
}

/** Throws OPTION_INVALID for an unknown key or a wrong value. */
export function checkInferOptions(model: string, options: InferOptions): InferOptions {
  return check(`model ${JSON.stringify(model)}, option of infer()`, options, inferRules)
}

function check<O extends object>(where: string, options: O, rules: Readonly<Record<string, Rule>>): O {
  if (typeof options !== 'object' || options === null) {
    throw new OnnxEngineError('OPTION_INVALID', where, { expected: 'an object', received: typeof options })
  }
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined) continue
    const rule = Object.hasOwn(rules, key) ? rules[key] : undefined
    if (!rule) {
      const near = nearest(key, Object.keys(rules))
      const hint = near ? `Did you mean ${JSON.stringify(near)}?` : `Known options: ${Object.keys(rules).join(', ')}.`
      throw new OnnxEngineError('OPTION_INVALID', `${where} ${JSON.stringify(key)}`, {
        expected: 'a known option',
        hint,
      })
    }
    if (!rule.accepts(value)) {
      throw new OnnxEngineError('OPTION_INVALID', `${where} ${JSON.stringify(key)}`, {
        expected: rule.expected,
        received: typeof value === 'object' ? 'an object' : String(value),
      })
    }
  }
  return options
}

// By its shape: a signal may come from another realm, as in test runners and Electron.
function isAbortSignal(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value
}

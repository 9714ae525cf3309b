import { checkOptions, type Rule } from './check-options.ts'
import { backendNames, dimsChecks, type BackendName, type DimsCheck } from './manifest.ts'
import type { ServerOptions } from './server-options.ts'
import type { InferOptions, SessionOptions } from './session.ts'
import { modelSubject } from './text.ts'
import type { LoadCallOptions } from './types.ts'

/** Options of `createModel` and `loadModel`. */
export interface LoadOptions extends SessionOptions {
  /** The backend that must run the model: without it, load() rejects with NO_VARIANT instead of using another. */
  readonly require?: BackendName
  /** `'loose'` lets dims of one name differ, for models that use one name for several dims. Default: `'named'`. */
  readonly dims?: DimsCheck
  /** Servers that run the model if this machine cannot, or before it does. `require` leaves them out. */
  readonly remote?: RemoteOptions
}

/** A server as another way to run a model. */
export interface RemoteOptions extends Omit<ServerOptions, 'model' | 'bindings'> {
  /** The name of the model on the server. Default: the name of the model here. */
  readonly model?: string | undefined
  /** Which is tried first. Default: `'local'`. */
  readonly first?: 'local' | 'remote' | undefined
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
    expected: `one of ${backendNames.join(', ')}`,
    accepts: (value) => backendNames.some((name) => name === value),
  },
  dims: { expected: `'named' or 'loose'`, accepts: (value) => dimsChecks.some((check) => check === value) },
  // Its own keys are checked when the server is connected to: that code is not loaded before.
  remote: { expected: 'an object with a url', accepts: (value) => typeof value === 'object' && value !== null },
}

const inferRules: Readonly<Record<keyof InferOptions, Rule>> = {
  signal: { expected: 'an AbortSignal', accepts: isAbortSignal },
  transfer: { expected: 'true or false', accepts: (value) => typeof value === 'boolean' },
}

/** Throws OPTION_INVALID for an unknown key or a wrong value. */
export function checkLoadOptions(model: string, options: LoadOptions): LoadOptions {
  return checkOptions(`${modelSubject(model)}, option`, options, modelRules)
}

const loadRules: Readonly<Record<keyof LoadCallOptions, Rule>> = {
  onProgress: { expected: 'a function', accepts: (value) => typeof value === 'function' },
}

/** Throws OPTION_INVALID for an unknown key or a wrong value. */
export function checkLoadCall(model: string, options: LoadCallOptions): LoadCallOptions {
  return checkOptions(`${modelSubject(model)}, option of load()`, options, loadRules)
}

/** Throws OPTION_INVALID for an unknown key or a wrong value. */
export function checkInferOptions(model: string, options: InferOptions): InferOptions {
  return checkOptions(`${modelSubject(model)}, option of infer()`, options, inferRules)
}

// By its members: a signal may come from another realm, as in test runners and Electron.
function isAbortSignal(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('aborted' in value)) return false
  return 'addEventListener' in value && typeof value.addEventListener === 'function'
}

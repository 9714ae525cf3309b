import { printable } from './printable.ts'

/**
 * Every error code with one sentence on what it means. docs/errors.md is generated from this table. A code is a promise
 * to users: it may be added, never renamed.
 */
export const errorCodes = {
  MODEL_NOT_FOUND: 'The imported model file does not exist.',
  MODEL_INVALID: 'The file is not a readable ONNX model: empty, truncated, or not a model at all.',
  MODEL_UNSUPPORTED:
    'The model is valid but not supported here: a sequence, map, optional or sparse binding, a dtype, or a node that ' +
    'the backend is known to compute wrong.',
  EXTERNAL_DATA: 'External data of the model is missing, too short, or outside the folder of the model.',
  QUERY_INVALID: 'The query of an import is wrong: an unknown key, a wrong value, or a contradiction with the options.',
  OPTION_INVALID: 'An option is wrong: an unknown key, a wrong value, or a contradiction with another option.',
  SHAPE_INVALID: 'A shape or profile does not fit the bindings of the model.',
  PRECISION_UNSUPPORTED: 'The requested precision cannot be made for this model or backend.',
  SAMPLES_INVALID: 'Samples are missing, cannot be read, or do not fit the inputs of the model.',
  BACKEND_UNAVAILABLE: 'The backend is not installed here or cannot run on this machine.',
  CONVERT_FAILED:
    'The program of the option `convert` could not turn a file into ONNX; the message has its last lines.',
  COMPILE_FAILED: "The backend could not compile the model; the message includes the backend's text.",
  COMPILE_ABORTED: 'The compilation was cancelled.',
  VERIFICATION_FAILED:
    'The outputs of an engine are too far from the fp32 model for the option `verify`, or cannot be compared.',
  NOT_CACHED: 'The option `frozen` forbids to compile, and no cache has the engine.',
  CACHE_FAILED: 'The cache folder cannot be used.',
  OUTPUT_FAILED: 'An engine or the runtime cannot be written into the output folder.',
  TYPES_FAILED: 'Type declarations cannot be written, or a source file that imports models cannot be parsed.',
  ARTIFACT_INVALID:
    'An engine file, or a file of the library of a page, is missing, truncated or not the one that was shipped.',
  NO_VARIANT: 'No variant of the model can run on this machine; the message gives the reason for each.',
  INPUT_INVALID: 'An input of infer() does not fit the bindings: name, dtype, rank, dims, or length.',
  INFERENCE_FAILED: "The backend failed while it ran the model; the message includes the backend's text.",
  WORKER_CRASHED:
    'The worker that ran the model died. Calls in flight are rejected, and the next call starts a new worker.',
  TOO_MANY_CALLS: 'A window of Electron has too many calls in flight; wait for some of them before the next.',
  SERVER_UNAVAILABLE: 'A server cannot be reached, is not ready, refuses the credentials, or did not answer in time.',
  SERVER_MISMATCH:
    'A server does not have the model or the version, or describes other bindings than the app was built with.',
  DISPOSED: 'The model was disposed.',
  ABORTED: 'The call was aborted by its signal.',
  UNSUPPORTED_TARGET: 'The bundler, output format or environment cannot carry a model.',
} as const

export type ErrorCode = keyof typeof errorCodes

export interface ErrorDetails {
  readonly expected?: string
  readonly received?: string
  /** What to do next, as one imperative sentence. */
  readonly hint?: string
  readonly cause?: unknown
}

/**
 * The one error class of this package. `message` names the model, the binding or the option's key path, and already
 * contains what was expected, what was received and what to do next: many users see nothing but the message.
 */
export class OnnxEngineError extends Error {
  override readonly name = 'OnnxEngineError'
  readonly code: ErrorCode
  readonly expected?: string
  readonly received?: string
  readonly hint?: string

  constructor(code: ErrorCode, subject: string, details: ErrorDetails = {}) {
    super(printable(compose(subject, details)), details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    if (details.expected !== undefined) this.expected = printable(details.expected)
    if (details.received !== undefined) this.received = printable(details.received)
    if (details.hint !== undefined) this.hint = printable(details.hint)
  }
}

/** An error as plain data, to cross a process or worker boundary. `reviveError` is the inverse. */
export interface ErrorRecord {
  readonly code: ErrorCode
  readonly message: string
  readonly expected?: string
  readonly received?: string
  readonly hint?: string
}

export function recordError(error: unknown, fallback: ErrorCode): ErrorRecord {
  if (!isOnnxEngineError(error)) return { code: fallback, message: textOf(error) }
  const { code, message, expected, received, hint } = error
  return { code, message, expected, received, hint }
}

/** The text of anything that was thrown; never throws. */
export function textOf(error: unknown): string {
  try {
    return error instanceof Error ? error.message : String(error)
  } catch {
    // A revoked proxy, or an object without a prototype.
    return 'an error without a text'
  }
}

/** The head of an error for a caller's object that cannot be read. */
export interface UnreadableError {
  readonly code: ErrorCode
  readonly subject: string
  readonly expected: string
}

/**
 * The result of `read`, which reads a caller's objects. What their getters and proxies throw becomes an error with a
 * code: any of them may be revoked or broken.
 */
export function refuseUnreadable<T>({ code, subject, expected }: UnreadableError, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (cause instanceof OnnxEngineError) throw cause
    throw new OnnxEngineError(code, subject, { expected, received: textOf(cause), cause })
  }
}

export function reviveError(record: ErrorRecord): OnnxEngineError {
  const error = new OnnxEngineError(record.code, record.message)
  return Object.assign(error, { expected: record.expected, received: record.received, hint: record.hint })
}

// By its name: a bundle may hold its own copy of this class next to the runtime's.
export function isOnnxEngineError(error: unknown): error is OnnxEngineError {
  return error instanceof Error && error.name === 'OnnxEngineError'
}

function compose(subject: string, { expected, received, hint }: ErrorDetails): string {
  const facts = [
    expected === undefined ? '' : `expected ${expected}`,
    received === undefined ? '' : `received ${received}`,
  ]
  const detail = facts.filter(Boolean).join(', ')
  return [detail ? `${subject}: ${detail}` : subject, hint ?? ''].filter(Boolean).join('. ')
}

import { OnnxEngineError } from '../errors.ts'

// Servers answer with whole pages or stacks: a message keeps the beginning, and the end, where Python has the cause.
const longestText = { start: 200, end: 400 }

/** A server's own text, cut to a readable length and without control characters. */
export function serverText(text: string): string {
  // oxlint-disable-next-line no-control-regex
  const plain = text.replace(/[\u0000-\u001f\u007f-\u009f\s]+/g, ' ').trim()
  if (plain === '') return 'no text'
  const { start, end } = longestText
  return plain.length > start + end ? `${plain.slice(0, start)} ... ${plain.slice(-end)}` : plain
}

/** The server cannot be reached, is not ready, or does not answer in time. */
export function unavailable(subject: string, received: string, hint?: string, cause?: unknown): OnnxEngineError {
  return new OnnxEngineError('SERVER_UNAVAILABLE', subject, {
    expected: 'an answer of the server',
    received,
    ...(hint !== undefined && { hint }),
    cause,
  })
}

/** The connection ended after the request was sent, so that the server may have run the model. */
export function lost(subject: string, reason: string, cause?: unknown): OnnxEngineError {
  const hint =
    'The request may have run, so it was not sent again. Call infer() again if running it twice does no harm.'
  return unavailable(subject, `a connection that ended after the request was sent (${serverText(reason)})`, hint, cause)
}

export function timedOut(subject: string, milliseconds: number, option: string): OnnxEngineError {
  return unavailable(subject, `none in ${milliseconds} ms`, `Raise the option timeouts.${option} if it needs longer.`)
}

export function refusedToken(subject: string, text: string): OnnxEngineError {
  return unavailable(subject, serverText(text), 'Pass the credentials that the server wants in the option headers.')
}

/** The server has another model than the one that the app expects, or speaks another protocol. */
export function mismatch(subject: string, expected: string, received: string, hint?: string): OnnxEngineError {
  return new OnnxEngineError('SERVER_MISMATCH', subject, { expected, received, ...(hint !== undefined && { hint }) })
}

export function failed(subject: string, received: string, hint?: string): OnnxEngineError {
  return new OnnxEngineError('INFERENCE_FAILED', subject, {
    expected: 'the outputs of the model',
    received,
    ...(hint !== undefined && { hint }),
  })
}

import type { OnnxEngineError } from '../errors.ts'
import { mismatch, unavailable } from './failures.ts'
import { errorText, readMetadata, readReply, readServer, refusal } from './http-answer.ts'
import { binaryBody, jsonBody, noJsonForm, withoutJson, type HttpBody } from './http-body.ts'
import { createHttpClient, type HttpAnswer, type HttpClient } from './http-client.ts'
import type { Attempt, InferRequest, ServedModel, Target, Transport, WireReply } from './transport.ts'

/**
 * A server over HTTP. One that has the binary extension gets raw bytes, any other JSON, except for dtypes that JSON
 * cannot carry. Answers are read in the form that they come in.
 */
export function createHttpTransport(target: Target): Transport {
  const { subject } = target
  const client = createHttpClient(target)
  let form: 'binary' | 'json' = 'json'
  let proven = false
  return {
    async describe() {
      const attempt = await describe(client, target)
      if ('unsent' in attempt) return attempt
      form = attempt.value.binary ? 'binary' : 'json'
      proven = false
      return { value: attempt.value.served }
    },
    infer,
    connected: () => true,
    close: client.close,
  }

  async function infer(request: InferRequest): Promise<Attempt<WireReply>> {
    const { inputs, outputs, signal } = request
    const needsBytes = withoutJson(inputs, outputs) !== undefined
    const binary = form === 'binary' || needsBytes
    const body = binary ? binaryBody(subject, inputs, outputs) : jsonBody(subject, inputs, outputs)
    const answer = await post(body, signal)
    if ('unsent' in answer) return answer
    // A server without the extension refuses such a request before it runs anything.
    const refused = binary && !proven && (refusesForm.has(answer.value.status) || (form === 'json' && needsBytes))
    if (refused && refusal(subject, answer.value)) return inferAsJson(request, answer.value)
    const error = refusal(subject, answer.value)
    if (error) throw error
    if (binary) proven = true
    return { value: readReply(subject, answer.value) }
  }

  async function inferAsJson(
    { inputs, outputs, signal }: InferRequest,
    refused: HttpAnswer,
  ): Promise<Attempt<WireReply>> {
    const dtype = withoutJson(inputs, outputs)
    if (dtype !== undefined) throw noJsonForm(`${subject}, which refused raw bytes (${errorText(refused)})`, dtype)
    const answer = await post(jsonBody(subject, inputs, outputs), signal)
    if ('unsent' in answer) return answer
    const error = refusal(subject, answer.value)
    if (error) throw error
    form = 'json'
    return { value: readReply(subject, answer.value) }
  }

  function post({ headers, parts }: HttpBody, signal: AbortSignal | undefined): Promise<Attempt<HttpAnswer>> {
    return client.send({
      method: 'POST',
      path: `${modelPath(target)}/infer`,
      headers,
      body: parts,
      timeout: target.inferTimeout,
      timeoutName: 'infer',
      signal,
    })
  }
}

const refusesForm = new Set([400, 415, 422])

// KServe has the extension and does not list it.
const unlistedBinary = new Set(['kserve'])

interface Described {
  readonly served: ServedModel
  /** Whether the server takes raw bytes. */
  readonly binary: boolean
}

async function describe(client: HttpClient, target: Target): Promise<Attempt<Described>> {
  const { subject } = target
  const get = (path: string) =>
    client.send({ method: 'GET', path, timeout: target.connectTimeout, timeoutName: 'connect' })
  const live = await get('v2/health/live')
  if ('unsent' in live) return live
  const notLive = refusal(subject, live.value)
  if (notLive) throw notLive.code === 'INFERENCE_FAILED' ? unavailable(subject, errorText(live.value)) : notLive
  const metadata = await get(modelPath(target))
  if ('unsent' in metadata) return metadata
  const absent = refusedMetadata(subject, metadata.value)
  if (absent) throw absent
  const served = readMetadata(subject, metadata.value)
  const ready = await get(`${modelPath(target)}/ready`)
  if ('unsent' in ready) return ready
  if (refusal(subject, ready.value)) throw unavailable(subject, `a model that is not ready (${errorText(ready.value)})`)
  const server = await get('v2')
  if ('unsent' in server) return server
  const { name, extensions } = readServer(server.value)
  return { value: { served, binary: extensions.includes('binary_tensor_data') || unlistedBinary.has(name) } }
}

// Servers answer 400, 404 or 422 for a model or version that they do not have, and KServe 501 for any version.
function refusedMetadata(subject: string, answer: HttpAnswer): OnnxEngineError | undefined {
  const error = refusal(subject, answer)
  if (!error || error.code === 'SERVER_UNAVAILABLE') return error
  if ((answer.status >= 400 && answer.status < 500) || answer.status === 501)
    return mismatch(subject, 'a server that has this model and version', errorText(answer))
  return unavailable(subject, errorText(answer))
}

function modelPath({ model, version }: Target): string {
  const path = `v2/models/${encodeURIComponent(model)}`
  return version === undefined ? path : `${path}/versions/${encodeURIComponent(version)}`
}

import type { OnnxEngineError } from '../errors.ts'
import { failed, mismatch, refusedToken, serverText, unavailable } from './failures.ts'
import type { HttpAnswer } from './http-client.ts'
import { utf8 } from './raw.ts'
import type { ServedModel, ServedTensor, WireReply, WireTensor } from './transport.ts'

/** The server's own words for a failure: `error` of the protocol, `detail` of FastAPI, or the text itself. */
export function errorText({ status, body }: HttpAnswer): string {
  const text = body.toString('utf8')
  const fields = asRecord(parsed(text))
  const said = fields['error'] ?? fields['detail'] ?? text
  return `status ${status}: ${serverText(typeof said === 'string' ? said : JSON.stringify(said))}`
}

/** The failure that an answer other than 2xx stands for, wherever it comes. */
export function refusal(subject: string, answer: HttpAnswer): OnnxEngineError | undefined {
  const { status } = answer
  if (status >= 200 && status < 300) return undefined
  if (status === 401 || status === 403) return refusedToken(subject, errorText(answer))
  if (status === 502 || status === 503 || status === 504) return unavailable(subject, errorText(answer))
  if (status === 404) return mismatch(subject, 'a server that has this model and version', errorText(answer))
  return failed(subject, errorText(answer), status === 413 ? sizeHint : undefined)
}

const sizeHint = "Raise the server's own limit for messages."

/** Metadata of a model. Throws SERVER_MISMATCH for what is not the protocol. */
export function readMetadata(subject: string, { body }: HttpAnswer): ServedModel {
  const fields = asRecord(parsed(body.toString('utf8')))
  const inputs = tensorsOf(fields['inputs'])
  const outputs = tensorsOf(fields['outputs'])
  if (typeof fields['name'] !== 'string' || !inputs || !outputs) {
    throw mismatch(subject, 'metadata of the Open Inference Protocol', serverText(body.toString('utf8')))
  }
  const versions = Array.isArray(fields['versions']) ? fields['versions'].map(String) : []
  const platform = typeof fields['platform'] === 'string' ? fields['platform'] : ''
  return { versions, platform, inputs, outputs }
}

/** What a server says about itself; empty for one that says nothing readable. */
export function readServer({ body }: HttpAnswer): { readonly name: string; readonly extensions: readonly string[] } {
  const { name, extensions } = asRecord(parsed(body.toString('utf8')))
  return {
    name: typeof name === 'string' ? name : '',
    extensions: Array.isArray(extensions) ? extensions.map(String) : [],
  }
}

/** The outputs of an inference: raw bytes after a JSON header, or JSON. Throws INFERENCE_FAILED. */
export function readReply(subject: string, { headers, body }: HttpAnswer): WireReply {
  const garbage = () =>
    failed(subject, `an answer that is not the Open Inference Protocol: ${serverText(body.toString('latin1'))}`)
  const declared = headers['inference-header-content-length']
  const headerBytes = declared === undefined ? body.byteLength : Number(declared)
  if (!Number.isSafeInteger(headerBytes) || headerBytes < 0 || headerBytes > body.byteLength) throw garbage()
  const text = utf8(body.subarray(0, headerBytes))
  const fields = asRecord(text === undefined ? undefined : parsed(text))
  const { outputs } = fields
  if (!Array.isArray(outputs)) throw garbage()
  let offset = headerBytes
  const tensors = outputs.map((output: unknown): WireTensor => {
    const tensor = tensorOf(output)
    if (!tensor) throw garbage()
    const { data, parameters } = asRecord(output)
    const size = asRecord(parameters)['binary_data_size']
    if (size === undefined) {
      if (!Array.isArray(data)) throw garbage()
      return { ...tensor, content: { values: data.flat(Infinity) } }
    }
    if (!Number.isSafeInteger(size) || Number(size) < 0 || offset + Number(size) > body.byteLength) throw garbage()
    const bytes = body.subarray(offset, (offset += Number(size)))
    return { ...tensor, content: { bytes } }
  })
  return { outputs: tensors, version: typeof fields['model_version'] === 'string' ? fields['model_version'] : '' }
}

function tensorsOf(value: unknown): readonly ServedTensor[] | undefined {
  // Servers that know no bindings send null or leave the list out.
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) return undefined
  const tensors = value.map(tensorOf)
  return tensors.every((tensor) => tensor !== undefined) ? tensors : undefined
}

function tensorOf(value: unknown): ServedTensor | undefined {
  const { name, datatype, shape } = asRecord(value)
  if (typeof name !== 'string' || typeof datatype !== 'string' || !Array.isArray(shape)) return undefined
  const sizes = shape.map(Number)
  return sizes.every(Number.isSafeInteger) ? { name, datatype, shape: sizes } : undefined
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
}

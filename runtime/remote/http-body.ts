import { OnnxEngineError } from '../errors.ts'
import type { Binding } from '../manifest.ts'
import type { CheckedTensor } from '../session.ts'
import { viewOf } from '../tensor-memory.ts'
import { quote } from '../text.ts'
import { datatypes } from './datatypes.ts'
import { refuseLoneSurrogate, toRaw } from './raw.ts'

export interface HttpBody {
  readonly headers: Readonly<Record<string, string>>
  readonly parts: readonly Uint8Array[]
}

type Inputs = ReadonlyMap<string, CheckedTensor>

/**
 * A request with the inputs as raw bytes after a JSON header, which also asks for outputs in that form. Source: the
 * Binary Tensor Data Extension.
 */
export function binaryBody(subject: string, inputs: Inputs, outputs: readonly Binding[]): HttpBody {
  const raw = Array.from(inputs, ([name, tensor]) => toRaw(inputSubject(subject, name), tensor))
  const header = Buffer.from(
    JSON.stringify({
      inputs: Array.from(inputs, ([name, { dtype, dims }], index) => ({
        name,
        datatype: datatypes[dtype].name,
        shape: dims,
        parameters: { binary_data_size: raw[index]?.byteLength ?? 0 },
      })),
      outputs: outputs.map(({ name }) => ({ name, parameters: { binary_data: true } })),
    }),
  )
  return {
    headers: {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(header.byteLength),
    },
    parts: [header, ...raw],
  }
}

/** A request in JSON alone. Throws INPUT_INVALID for what JSON cannot carry: 16-bit floats, NaN and infinities. */
export function jsonBody(subject: string, inputs: Inputs, outputs: readonly Binding[]): HttpBody {
  const tensors = Array.from(inputs, ([name, tensor]) => {
    const { dtype, dims } = tensor
    const head = JSON.stringify({ name, datatype: datatypes[dtype].name, shape: dims })
    return `${head.slice(0, -1)},"data":[${elements(inputSubject(subject, name), tensor)}]}`
  })
  const wanted = JSON.stringify(outputs.map(({ name }) => ({ name })))
  const text = `{"inputs":[${tensors.join(',')}],"outputs":${wanted}}`
  return { headers: { 'content-type': 'application/json' }, parts: [Buffer.from(text)] }
}

/** The dtypes of a request or its answer that JSON cannot carry. */
export function withoutJson(inputs: Inputs, outputs: readonly Binding[]): string | undefined {
  const dtypes = [...Array.from(inputs.values(), ({ dtype }) => dtype), ...outputs.map(({ dtype }) => dtype)]
  return dtypes.find((dtype) => datatypes[dtype].contents === undefined)
}

function elements(subject: string, { dtype, data }: CheckedTensor): string {
  if (!ArrayBuffer.isView(data)) {
    data.forEach((text, index) => refuseLoneSurrogate(subject, text, index))
    return data.map((text) => JSON.stringify(text)).join(',')
  }
  if (datatypes[dtype].contents === undefined) throw noJsonForm(subject, dtype)
  // The session may hold the elements as plain bytes.
  const values = viewOf(dtype, data.buffer as ArrayBuffer, data.byteOffset, data.byteLength) as unknown as ArrayLike<
    number | bigint
  >
  if (dtype === 'bool') return Array.from(values, (value) => String(Boolean(value))).join(',')
  if (dtype === 'float32' || dtype === 'float64') refuseNonFinite(subject, values as ArrayLike<number>)
  return Array.prototype.join.call(values, ',')
}

function refuseNonFinite(subject: string, values: ArrayLike<number>): void {
  for (let index = 0; index < values.length; index++) {
    const value = values[index]
    if (Number.isFinite(value)) continue
    throw new OnnxEngineError('INPUT_INVALID', subject, {
      expected: 'finite numbers, because JSON has no others',
      received: `${value} at index ${index}`,
      hint: 'Use a grpc: URL, or a server that takes the binary extension of HTTP.',
    })
  }
}

export function noJsonForm(subject: string, dtype: string): OnnxEngineError {
  return new OnnxEngineError('INPUT_INVALID', subject, {
    expected: 'a transport that carries raw bytes',
    received: `${dtype}, which JSON cannot carry`,
    hint: 'Use a grpc: URL, or a server that takes the binary extension of HTTP.',
  })
}

function inputSubject(subject: string, name: string): string {
  return `${subject}, input ${quote(name)}`
}

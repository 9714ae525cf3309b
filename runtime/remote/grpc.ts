import { abortedError } from '../abort.ts'
import type { OnnxEngineError } from '../errors.ts'
import { quote } from '../text.ts'
import { datatypes, dtypeOfDatatype } from './datatypes.ts'
import { failed, lost, mismatch, refusedToken, serverText, timedOut, unavailable } from './failures.ts'
import { createGrpcClient, type GrpcClient, type GrpcResult, type MethodName } from './grpc-client.ts'
import { toRaw } from './raw.ts'
import type { Attempt, InferRequest, ServedModel, Target, Transport, WireReply, WireTensor } from './transport.ts'

type Failure = Extract<GrpcResult, { readonly code: number }>

/** A server over gRPC. Inputs travel as raw bytes; outputs are read as raw bytes or typed fields, as they come. */
export async function createGrpcTransport(target: Target): Promise<Transport> {
  const { subject, model, version = '', connectTimeout, inferTimeout } = target
  const client = await createGrpcClient(target)
  const { status } = client
  return { describe, infer, connected: client.connected, close: client.close }

  function ask(method: MethodName, message: object): Promise<GrpcResult> {
    return client.call({ method, bytes: client.serialize(method, message), timeout: connectTimeout })
  }

  async function describe(): Promise<Attempt<ServedModel>> {
    const live = await ask('ServerLive', {})
    // This call opens the connection: nothing that matters was sent when it fails.
    if ('code' in live && (live.code === status.UNAVAILABLE || live.code === status.DEADLINE_EXCEEDED)) {
      return { unsent: serverText(live.details) }
    }
    const { live: isLive } = messageOf(live)
    if (isLive !== true) throw unavailable(subject, 'a server that is not live')
    const metadata = await ask('ModelMetadata', { name: model, version })
    if ('code' in metadata && !connectCodes(client).includes(metadata.code)) throw absent(metadata.details)
    const served = messageOf(metadata) as unknown as GrpcMetadata
    const ready = await ask('ModelReady', { name: model, version })
    if (messageOf(ready)['ready'] !== true) throw unavailable(subject, 'a model that is not ready')
    return { value: { ...served, inputs: served.inputs.map(withSizes), outputs: served.outputs.map(withSizes) } }
  }

  async function infer({ inputs, outputs, signal }: InferRequest): Promise<Attempt<WireReply>> {
    const bytes = client.serialize('ModelInfer', {
      modelName: model,
      modelVersion: version,
      inputs: Array.from(inputs, ([name, { dtype, dims }]) => ({ name, datatype: datatypes[dtype].name, shape: dims })),
      outputs: outputs.map(({ name }) => ({ name })),
      rawInputContents: Array.from(inputs, ([name, tensor]) => toRaw(`${subject}, input ${quote(name)}`, tensor)),
    })
    const result = await client.call({ method: 'ModelInfer', bytes, timeout: inferTimeout, signal })
    // HTTP/2 promises that such a stream was not processed in any way (RFC 9113, REFUSED_STREAM).
    if ('code' in result && result.details === refusedStream) return { unsent: refusedStream }
    if ('code' in result) throw inferFailure(result, signal)
    return { value: readReply(result.message as unknown as GrpcReply) }
  }

  function messageOf(result: GrpcResult): Readonly<Record<string, unknown>> {
    if ('code' in result) throw connectFailure(result)
    return result.message
  }

  function absent(details: string): OnnxEngineError {
    return mismatch(subject, 'a server that has this model and version', serverText(details))
  }

  function connectFailure({ code, details, cause }: Failure): OnnxEngineError {
    if (code === status.DEADLINE_EXCEEDED) return timedOut(subject, connectTimeout, 'connect')
    if (code === status.UNAUTHENTICATED || code === status.PERMISSION_DENIED) return refusedToken(subject, details)
    if (code === status.UNIMPLEMENTED || code === status.INTERNAL)
      return mismatch(subject, 'a server of the Open Inference Protocol', serverText(details))
    return unavailable(subject, serverText(details), undefined, cause)
  }

  function inferFailure({ code, details, cause }: Failure, signal: AbortSignal | undefined): OnnxEngineError {
    if (signal?.aborted) return abortedError(subject, cause)
    if (code === status.DEADLINE_EXCEEDED) return timedOut(subject, inferTimeout, 'infer')
    if (code === status.UNAUTHENTICATED || code === status.PERMISSION_DENIED) return refusedToken(subject, details)
    if (code === status.UNAVAILABLE || code === status.CANCELLED) return lost(subject, details, cause)
    if (code === status.NOT_FOUND) return absent(details)
    return failed(subject, serverText(details), code === status.RESOURCE_EXHAUSTED ? sizeHint : undefined)
  }
}

// The text of @grpc/grpc-js for it.
const refusedStream = 'Stream refused by server'

const sizeHint =
  "If a message is too large, raise the server's own limit, or the option maxResponseBytes for its answers."

function connectCodes({ status }: GrpcClient): readonly number[] {
  return [status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.UNAUTHENTICATED, status.PERMISSION_DENIED]
}

// What proto-loader makes of the messages: 64-bit integers are text, and no field is missing.
interface GrpcTensor {
  readonly name: string
  readonly datatype: string
  readonly shape: readonly string[]
}

interface GrpcMetadata {
  readonly versions: readonly string[]
  readonly platform: string
  readonly inputs: readonly GrpcTensor[]
  readonly outputs: readonly GrpcTensor[]
}

interface GrpcReply {
  readonly modelVersion: string
  readonly outputs: readonly (GrpcTensor & { readonly contents: Readonly<Record<string, readonly unknown[]>> | null })[]
  readonly rawOutputContents: readonly Buffer[]
}

function withSizes<T extends GrpcTensor>({ name, datatype, shape }: T) {
  return { name, datatype, shape: shape.map(Number) }
}

function readReply({ modelVersion, outputs, rawOutputContents }: GrpcReply): WireReply {
  const tensors = outputs.map((output, index): WireTensor => {
    const bytes = rawOutputContents[index]
    if (bytes) return { ...withSizes(output), content: { bytes } }
    const dtype = dtypeOfDatatype(output.datatype)
    const field = dtype && datatypes[dtype].contents
    return { ...withSizes(output), content: { values: (field && output.contents?.[field]) ?? [] } }
  })
  return { outputs: tensors, version: modelVersion }
}

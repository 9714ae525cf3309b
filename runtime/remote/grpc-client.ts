import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import { abortedError, onAbort } from '../abort.ts'
import { OnnxEngineError, textOf } from '../errors.ts'
import type { TlsOptions } from '../server-options.ts'
import { descriptor } from './descriptor.ts'
import type { Target } from './transport.ts'

export type MethodName = keyof typeof descriptor.nested.inference.nested.GRPCInferenceService.methods

export interface GrpcCall {
  readonly method: MethodName
  /** The serialized request. */
  readonly bytes: Buffer
  /** Milliseconds. */
  readonly timeout: number
  readonly signal?: AbortSignal | undefined
}

/** The end of a call: the decoded answer, or the status of the server or the library. */
export type GrpcResult =
  | { readonly message: Readonly<Record<string, unknown>> }
  | { readonly code: number; readonly details: string; readonly cause: unknown }

export interface GrpcClient {
  readonly status: typeof grpc.status
  serialize(method: MethodName, message: object): Buffer
  /** Rejects with ABORTED only. */
  call(call: GrpcCall): Promise<GrpcResult>
  connected(): boolean
  close(): void
}

/** Loads gRPC, which is not a dependency of apps that do not use it. Throws BACKEND_UNAVAILABLE. */
export async function createGrpcClient(target: Target): Promise<GrpcClient> {
  const { library, methods } = await loadGrpc()
  const secure = target.url.protocol === 'grpcs:'
  const credentials = secure ? tlsCredentials(library, target.tls) : library.credentials.createInsecure()
  const address = target.url.port === '' ? `${target.url.hostname}:${secure ? 443 : 80}` : target.url.host
  const client = new library.Client(address, credentials, channelOptions(target))
  return {
    status: library.status,
    serialize: (method, message) => methods[method].requestSerialize(message),
    connected: () => client.getChannel().getConnectivityState(false) === library.connectivityState.READY,
    close: () => client.close(),
    async call({ method, bytes, timeout, signal }) {
      const metadata = new library.Metadata()
      for (const [name, value] of Object.entries(await target.headers())) metadata.set(name, value)
      return new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(abortedError(target.subject, signal.reason))
        const { path, responseDeserialize } = methods[method]
        const call = client.makeUnaryRequest(
          path,
          (request: Buffer) => request,
          responseDeserialize,
          bytes,
          metadata,
          { deadline: Date.now() + timeout },
          (error, message) => {
            stopListening?.()
            if (error) resolve(failureOf(error))
            else resolve({ message: (message ?? {}) as Readonly<Record<string, unknown>> })
          },
        )
        const stopListening =
          signal &&
          onAbort(signal, () => {
            reject(abortedError(target.subject, signal.reason))
            call.cancel()
          })
      })
    },
  }
}

// The library's own errors, such as that of an unknown compression, have neither a status nor details.
function failureOf(cause: Partial<grpc.ServiceError> & Error): GrpcResult {
  return { code: cause.code ?? unknownStatus, details: cause.details ?? cause.message, cause }
}

// UNKNOWN in the status codes of gRPC.
const unknownStatus = 2

interface Loaded {
  readonly library: typeof grpc
  readonly methods: Readonly<Record<MethodName, MethodDefinition<object, object>>>
}

let loading: Promise<Loaded> | undefined

function loadGrpc(): Promise<Loaded> {
  loading ??= importGrpc().catch((cause: unknown) => {
    loading = undefined
    throw new OnnxEngineError('BACKEND_UNAVAILABLE', 'gRPC', {
      expected: 'the packages @grpc/grpc-js and @grpc/proto-loader',
      received: textOf(cause),
      hint: 'Add both to the dependencies of the app, or use an http: URL.',
      cause,
    })
  })
  return loading
}

async function importGrpc(): Promise<Loaded> {
  const [library, loader] = await Promise.all([import('@grpc/grpc-js'), import('@grpc/proto-loader')])
  // 64-bit integers as text: a JavaScript number would round them.
  const json = descriptor as unknown as Parameters<typeof loader.fromJSON>[0]
  const definitions = loader.fromJSON(json, { longs: String, arrays: true, defaults: true })
  return { library, methods: definitions['inference.GRPCInferenceService'] as unknown as Loaded['methods'] }
}

function tlsCredentials(library: typeof grpc, { ca, cert, key }: TlsOptions): grpc.ChannelCredentials {
  return library.credentials.createSsl(pem(ca), pem(key), pem(cert))
}

function pem(text: string | Uint8Array | undefined): Buffer | null {
  return text === undefined ? null : Buffer.from(text)
}

function channelOptions({ maxResponseBytes, tls }: Target): grpc.ChannelOptions {
  return {
    // The library's own limit of 4 MB for answers is below one image of 736 x 736 in float32.
    'grpc.max_receive_message_length': maxResponseBytes,
    'grpc.max_send_message_length': -1,
    // Finds a dead connection while a call waits; more often than this, servers take pings for an attack.
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    // A server that was restarted is found again within a second.
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 1000,
    // Retries are decided in pool.ts: only where nothing was sent.
    'grpc.enable_retries': 0,
    'grpc.use_local_subchannel_pool': 1,
    ...(tls.serverName !== undefined && {
      'grpc.ssl_target_name_override': tls.serverName,
      'grpc.default_authority': tls.serverName,
    }),
  }
}

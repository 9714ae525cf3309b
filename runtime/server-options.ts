import type { Bindings } from './manifest.ts'

/** Where a model is served, and how to call it. */
export interface ServerOptions {
  /**
   * `grpc://host:8001`, `grpcs://`, `http://host:8000` or `https://`, with a path before `/v2` where a proxy adds one.
   * Several servers of one model are called in turn.
   */
  readonly url: string | readonly string[]
  /** The name of the model on the server. */
  readonly model: string
  /** The version of the model; the default is the server's choice. */
  readonly version?: string | undefined
  /**
   * What the app was built with: the imported model itself, its manifest, or the bindings. The server's metadata must
   * agree. Default: what the server describes.
   */
  readonly bindings?: Bindings | { readonly bindings: Bindings } | undefined
  /** Headers (metadata of gRPC) of every request, such as tokens. A function is called for each request. */
  readonly headers?: ServerHeaders | (() => ServerHeaders | Promise<ServerHeaders>) | undefined
  readonly tls?: TlsOptions | undefined
  /** Milliseconds. `connect` (default 5000) is for a connection or a question about the model; `infer` is 60 000. */
  readonly timeouts?: { readonly connect?: number | undefined; readonly infer?: number | undefined } | undefined
  /** How often all servers are tried again when none could be connected to, with growing pauses. Default 2. */
  readonly retries?: number | undefined
  /** The largest answer in bytes. Default: 1 GiB. */
  readonly maxResponseBytes?: number | undefined
}

export type ServerHeaders = Readonly<Record<string, string>>

/** Certificates in PEM form. */
export interface TlsOptions {
  /** Authorities to trust instead of those of Node.js. */
  readonly ca?: string | Uint8Array | undefined
  /** The client's own certificate and key, for servers that ask for them. */
  readonly cert?: string | Uint8Array | undefined
  readonly key?: string | Uint8Array | undefined
  /** The name that the server's certificate must have, when it is not the host of the URL. */
  readonly serverName?: string | undefined
}

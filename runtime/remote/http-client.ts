import * as http from 'node:http'
import * as https from 'node:https'
import { abortedError, onAbort } from '../abort.ts'
import { textOf } from '../errors.ts'
import { lost, timedOut, unavailable } from './failures.ts'
import type { Attempt, Target } from './transport.ts'

export interface HttpRequest {
  readonly method: 'GET' | 'POST'
  /** Path below the base of the URL, such as 'v2/health/live'. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: readonly Uint8Array[]
  /** Milliseconds for the whole exchange. */
  readonly timeout: number
  /** The option that the time-out is from. */
  readonly timeoutName: string
  readonly signal?: AbortSignal | undefined
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: Buffer
}

/** Requests to one server over connections that stay open. */
export interface HttpClient {
  send(request: HttpRequest): Promise<Attempt<HttpAnswer>>
  close(): void
}

// Below the 5 s after which uvicorn and Node.js close an idle connection: a request that meets the closing would fail.
const idleMs = 4000

export function createHttpClient(target: Target): HttpClient {
  const secure = target.url.protocol === 'https:'
  const { ca, cert, key, serverName } = target.tls
  const shared = { keepAlive: true, timeout: idleMs, scheduling: 'lifo' as const }
  const agent = secure
    ? new https.Agent({ ...shared, ...pem({ ca, cert, key }), ...(serverName && { servername: serverName }) })
    : new http.Agent(shared)
  return {
    async send(request) {
      const headers = { ...(await target.headers()), ...request.headers }
      return new Promise((resolve, reject) => {
        const exchange = secure ? https.request : http.request
        const size = request.body?.reduce((sum, part) => sum + part.byteLength, 0)
        const outgoing = exchange(new URL(request.path, withSlash(target.url)), {
          method: request.method,
          agent,
          headers: { ...headers, ...(size !== undefined && { 'content-length': String(size) }) },
        })
        conduct(target, request, outgoing, { resolve, reject })
        for (const part of request.body ?? []) outgoing.write(part)
        outgoing.end()
      })
    },
    close: () => agent.destroy(),
  }
}

interface Settle {
  resolve(attempt: Attempt<HttpAnswer>): void
  reject(error: unknown): void
}

/** Follows one exchange until it is answered, fails, takes too long or is aborted. Settles once. */
function conduct(target: Target, request: HttpRequest, outgoing: http.ClientRequest, settle: Settle): void {
  const { subject } = target
  let connected = false
  const timers = [setTimeout(() => fail(timedOut(subject, request.timeout, request.timeoutName)), request.timeout)]
  const stopListening =
    request.signal && onAbort(request.signal, () => fail(abortedError(subject, request.signal?.reason)))
  const end = () => {
    timers.forEach((timer) => clearTimeout(timer))
    stopListening?.()
  }
  const fail = (error: unknown) => {
    end()
    settle.reject(error)
    outgoing.destroy()
  }
  const unsent = (reason: string) => {
    end()
    settle.resolve({ unsent: reason })
    outgoing.destroy()
  }

  outgoing.on('socket', (socket) => {
    if (!socket.connecting) {
      connected = true
      return
    }
    const late = `no connection in ${target.connectTimeout} ms`
    const connecting = setTimeout(() => unsent(late), target.connectTimeout)
    timers.push(connecting)
    socket.once(target.url.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
      connected = true
      clearTimeout(connecting)
    })
  })
  outgoing.on('error', (error) => (connected ? fail(lost(subject, reasonOf(error), error)) : unsent(reasonOf(error))))
  outgoing.on('response', (response) => {
    const chunks: Buffer[] = []
    let size = 0
    response.on('data', (chunk: Buffer) => {
      size += chunk.byteLength
      if (size > target.maxResponseBytes) return fail(tooLarge(target))
      chunks.push(chunk)
    })
    response.on('error', (error) => fail(lost(subject, reasonOf(error), error)))
    response.on('end', () => {
      if (!response.complete) return fail(lost(subject, 'the answer is incomplete'))
      end()
      settle.resolve({
        value: { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) },
      })
    })
  })
}

function tooLarge({ subject, maxResponseBytes }: Target): unknown {
  const hint = 'Raise the option maxResponseBytes if the outputs of the model are that large.'
  return unavailable(subject, `more than ${maxResponseBytes} bytes`, hint)
}

/** A connection error of Node.js in words: several addresses give one AggregateError without a message. */
function reasonOf(error: Error): string {
  const inner = error instanceof AggregateError ? error.errors.map((each) => textOf(each)).join('; ') : ''
  return inner || error.message || String((error as NodeJS.ErrnoException).code)
}

function withSlash(url: URL): URL {
  return url.pathname.endsWith('/') ? url : new URL(`${url.pathname}/`, url)
}

function pem(parts: Readonly<Record<'ca' | 'cert' | 'key', string | Uint8Array | undefined>>): https.AgentOptions {
  return Object.fromEntries(
    Object.entries(parts).flatMap(([name, part]) =>
      part === undefined ? [] : [[name, typeof part === 'string' ? part : Buffer.from(part)]],
    ),
  )
}

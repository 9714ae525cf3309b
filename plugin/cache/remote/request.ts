import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import * as http from 'node:http'
import * as https from 'node:https'
import { pipeline } from 'node:stream/promises'

/** A request of a remote store, signed or with its token. */
export interface StoreRequest {
  readonly method: 'GET' | 'PUT'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  /** The file that a PUT sends, a piece at a time. */
  readonly file?: string
}

/**
 * Sends a request, and gives the answer with its body unread. Node's own client, because fetch() sends no file with its
 * length.
 */
export async function sendRequest({ method, url, headers, signal, file }: StoreRequest): Promise<http.IncomingMessage> {
  const size = file === undefined ? undefined : (await stat(file)).size
  const send = url.startsWith('https:') ? https.request : http.request
  return new Promise((resolve, reject) => {
    const length = size === undefined ? {} : { 'content-length': String(size) }
    const request = send(url, { method, headers: { ...headers, ...length }, signal })
    request.on('error', reject)
    request.on('response', resolve)
    if (file === undefined) request.end()
    // A server may answer before it has read everything, such as 401: then the answer counts, not the broken pipe.
    else pipeline(createReadStream(file), request).catch((error: unknown) => setImmediate(() => reject(error as Error)))
  })
}

/** The body of what is stored; undefined for 404. Throws for every other status. */
export function storedBody(answer: http.IncomingMessage): AsyncIterable<Uint8Array> | undefined {
  if (answer.statusCode === 200) return answer
  answer.resume()
  if (answer.statusCode === 404) return undefined
  throw new Error(`status ${answer.statusCode}`)
}

/** Throws unless the file was stored. 412 says that it is there already. */
export function refuseUnstored(answer: http.IncomingMessage): void {
  answer.resume()
  const { statusCode = 0 } = answer
  if ((statusCode < 200 || statusCode >= 300) && statusCode !== 412) throw new Error(`status ${statusCode}`)
}

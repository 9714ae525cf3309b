import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize } from 'node:path'

/** A static server of an output folder, as hosts of pages are, with what a test wants to be wrong. */
export interface WebServer extends AsyncDisposable {
  /** URL of the folder, with a slash at the end. */
  readonly url: string
  /** Paths that were asked for, below the folder. */
  readonly requests: string[]
  /** What answers a request instead of the file; undefined leaves it to the file. Tests replace it. */
  intercept: (path: string, response: ServerResponse, request: IncomingMessage) => boolean
}

export interface WebServerOptions {
  /** Path of the folder, such as '/app/'. */
  readonly base?: string
  readonly headers?: Readonly<Record<string, string>>
}

export const isolated: Readonly<Record<string, string>> = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
}

export async function serveFolder(folder: string, options: WebServerOptions = {}): Promise<WebServer> {
  const { base = '/', headers = {} } = options
  const requests: string[] = []
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '', 'http://host').pathname
    const inside = path.startsWith(base) ? decodeURIComponent(path.slice(base.length)) : undefined
    if (inside === undefined) return void response.writeHead(404).end('not found')
    requests.push(inside)
    if (result.intercept(inside, response, request)) return
    void send(response, join(folder, normalize(`/${inside || 'index.html'}`)), headers)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const result: WebServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${base}`,
    requests,
    intercept: () => false,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
  return result
}

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.mjs': 'text/javascript',
  '.png': 'image/png',
  '.wasm': 'application/wasm',
}

async function send(response: ServerResponse, file: string, headers: Readonly<Record<string, string>>): Promise<void> {
  const bytes = await readFile(file).catch(() => undefined)
  if (bytes === undefined) return void response.writeHead(404, headers).end('not found')
  const type = types[extname(file)] ?? 'application/octet-stream'
  response.writeHead(200, { 'Content-Type': type, 'Content-Length': bytes.length, ...headers }).end(bytes)
}

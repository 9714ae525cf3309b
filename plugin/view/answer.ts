import type { IncomingMessage, ServerResponse } from 'node:http'
import * as v from 'valibot'
import { OnnxEngineError, textOf } from '../../runtime/errors.ts'
import type { ViewData } from './contract.ts'
import { refusalOf, safeHeaders } from './guard.ts'
import type { LiveEvents } from './live.ts'
import type { PageFile } from './page-files.ts'

/** All that a page can ask for. */
export interface ViewSite {
  readonly files: ReadonlyMap<string, PageFile>
  readonly data: ViewData
  readonly live: LiveEvents
}

/** Bytes of the longest request: an image or an array, in base64. */
const longestRequest = 96e6

/** Answers the request for `path`, which is relative to the page: a file of it, or `api/` and a name. */
export async function answer(
  site: ViewSite,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  for (const [name, value] of Object.entries(safeHeaders)) response.setHeader(name, value)
  const refusal = refusalOf(request)
  if (refusal !== undefined) return sendText(response, 403, refusal)
  const { pathname, searchParams } = new URL(path, 'http://page/')
  const name = pathname.slice(1)
  if (name === 'api/events') return site.live.follow(response)
  if (name.startsWith('api/')) return answerApi(site.data, name.slice(4), searchParams, { request, response })
  const file = site.files.get(name || 'index.html')
  if (file === undefined) return sendText(response, 404, 'there is no such file')
  response.writeHead(200, { 'Content-Type': file.type, 'Content-Length': file.bytes.length }).end(file.bytes)
}

type Query = (name: string) => string
type Answer = (data: ViewData, query: Query, request: IncomingMessage) => Promise<unknown>

const answers: Readonly<Record<string, Answer>> = {
  overview: (data) => data.overview(),
  graph: (data, query) => data.graph(query('model')),
  statistics: (data, query) => data.statistics(query('model'), query('initializer')),
  engines: (data) => data.engines(),
  nodes: (data, query) => data.nodes(query('engine')),
  profile: (data, query) => data.profile(query('engine')),
  compare: (data, query) => data.compare(query('a'), query('b')),
  bindings: (data, query) => data.bindings(query('model')),
  run: async (data, query, request) => data.run(query('target'), v.parse(tryRequest, await bodyOf(request))),
}

/** Requests that run a model. */
const runsModels: ReadonlySet<string> = new Set(['run', 'profile'])

const tryRequest = v.object({
  inputs: v.array(
    v.variant('kind', [
      v.object({ kind: v.picklist(['image', 'npy']), name: v.string(), base64: v.string() }),
      v.object({ kind: v.literal('random'), name: v.string(), seed: v.number() }),
    ]),
  ),
  dims: v.record(v.string(), v.array(v.number())),
})

async function answerApi(
  data: ViewData,
  name: string,
  parameters: URLSearchParams,
  { request, response }: { readonly request: IncomingMessage; readonly response: ServerResponse },
): Promise<void> {
  const asked = Object.hasOwn(answers, name) ? answers[name] : undefined
  if (asked === undefined) return sendText(response, 404, 'there is no such request')
  // A request that runs a model is no link: a page of another site cannot send this method without being asked first.
  if (runsModels.has(name) !== (request.method === 'POST')) return sendText(response, 405, 'the method is wrong')
  try {
    const result = await asked(data, (key) => parameters.get(key) ?? '', request)
    sendJson(response, 200, result)
  } catch (error) {
    const hint = error instanceof OnnxEngineError ? error.hint : undefined
    sendJson(response, 400, { error: textOf(error).slice(0, 4000), hint })
  }
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length
    if (length > longestRequest) throw new Error('the inputs are larger than 64 MB')
    parts.push(part)
  }
  return JSON.parse(Buffer.concat(parts).toString())
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const text = JSON.stringify(value)
  response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8' }).end(text)
}

function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(`${text}\n`)
}

import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { compile } from 'unplugin-onnx'
import { http, type RemoteStore } from 'unplugin-onnx/cache'
import { timed } from '../../plugin/bench/measure-calls.ts'
import { inTurn } from '../../plugin/bench/statistics.ts'
import { recogniser, workFolder } from './models.ts'
import type { Row } from './row.ts'

/** An engine of a remote cache on this machine, which an empty cache asks for. */
export async function remoteCacheBench(): Promise<Row> {
  const server = keep(new Map()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/{key}`
    await build(http({ url, writeToken: 'token' }))
    const times = await inTurn(
      5,
      () => build(http({ url })),
      () => build(),
    )
    return {
      name: 'engine of 11 MB from a remote cache, recogniser',
      beside: 'compiling it',
      ...times,
      unit: 'ms',
      aim: { of: 'ratio', atMost: 1 },
    }
  } finally {
    server.close()
  }
}

/** Milliseconds of a build with an empty cache folder. */
function build(store?: RemoteStore): Promise<number> {
  const remote = store && { store, secret: 'a secret of at least 32 characters' }
  const cache = { dir: mkdtempSync(join(workFolder, 'cache-')), ...(remote && { remote }) }
  return timed(() => compile(recogniser.file, { backends: ['onnxruntime'], cache }))
}

function keep(bodies: Map<string, Buffer>): Server {
  return createServer(async (request: IncomingMessage, response) => {
    const { method, url = '' } = request
    if (method === 'PUT') {
      bodies.set(url, await buffer(request))
      response.end()
      return
    }
    const body = bodies.get(url)
    response.writeHead(body ? 200 : 404).end(body)
  })
}

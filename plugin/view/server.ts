import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { OnnxEngineError, textOf } from '../../runtime/errors.ts'
import { answer, type ViewSite } from './answer.ts'
import { isSameToken, safeHeaders } from './guard.ts'

/** A page that is served. */
export interface ViewServer {
  /** With the token, which makes it a secret of this user. */
  readonly url: string
  close(): Promise<void>
}

/** Serves the page to this machine only, at a free port if `port` is 0. Throws OPTION_INVALID for a taken port. */
export async function serveView(site: ViewSite, port: number): Promise<ViewServer> {
  const token = randomBytes(24).toString('base64url')
  const server = createServer((request, response) => {
    const [, given = '', path = ''] = /^\/([^/?]*)(\/.*)?$/.exec(request.url ?? '') ?? []
    if (!isSameToken(given, token)) {
      response.writeHead(403, { ...safeHeaders, 'Content-Type': 'text/plain' }).end('the token is missing or wrong\n')
      return
    }
    answer(site, path || '/', request, response).catch(() => response.destroy())
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening').catch((cause: NodeJS.ErrnoException) => {
    throw new OnnxEngineError('OPTION_INVALID', `--port ${port}`, {
      expected: 'a free port',
      received: cause.code === 'EADDRINUSE' ? 'one that another program uses' : textOf(cause),
      hint: 'Leave --port out to get a free one',
      cause,
    })
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/${token}/`,
    async close() {
      site.live.close()
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

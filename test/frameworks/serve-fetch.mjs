// Serves an output whose default export is `{ fetch }`, without packages: node serve-fetch.mjs server.js
import { createServer } from 'node:http'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const { default: app } = await import(pathToFileURL(resolve(process.argv[2])).href)
createServer(async ({ url, headers }, response) => {
  const answer = await app.fetch(new Request(`http://${headers.host}${url}`))
  response.writeHead(answer.status, Object.fromEntries(answer.headers))
  response.end(Buffer.from(await answer.arrayBuffer()))
}).listen(process.env.PORT, '127.0.0.1')

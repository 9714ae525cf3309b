import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname } from 'node:path'
import { render } from './dist/server/entry-server.js'

const client = new URL('./dist/client/', import.meta.url)
const template = await readFile(new URL('index.html', client), 'utf8')
const types = { '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm' }

const server = createServer(async (request, response) => {
  const path = new URL(request.url, 'http://host').pathname
  if (path === '/') {
    const { first, html } = await render()
    const data = `<script type="application/json" id="first">${JSON.stringify(first)}</script>`
    response
      .writeHead(200, { 'Content-Type': 'text/html' })
      .end(template.replace('<!--app-->', html).replace('<!--data-->', data))
    return
  }
  const bytes = await readFile(new URL(`.${path}`, client)).catch(() => undefined)
  if (bytes === undefined) response.writeHead(404).end('not found')
  else response.writeHead(200, { 'Content-Type': types[extname(path)] ?? 'application/octet-stream' }).end(bytes)
})
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () =>
  console.log(`http://127.0.0.1:${server.address().port}/`),
)

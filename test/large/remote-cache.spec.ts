import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream, createWriteStream, existsSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { tempFolder } from '../support/helpers.ts'

const run = promisify(execFile)
const size = 1_000_000_000
const folder = tempFolder()

/** A server that keeps one file. */
async function serve(): Promise<string> {
  const kept = join(folder, 'kept')
  const server = createServer((request, response) => {
    if (request.method === 'PUT') {
      void pipeline(request, createWriteStream(kept)).then(() => response.writeHead(201).end())
    } else if (existsSync(kept)) {
      response.writeHead(200, { 'content-length': statSync(kept).size })
      createReadStream(kept).pipe(response)
    } else response.writeHead(404).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/{key}`
}

function dist(path: string): string {
  return JSON.stringify(new URL(`../../dist/plugin/cache/${path}`, import.meta.url).href)
}

/** A machine with a cache of its own, in a process of its own, so that its memory can be told. */
async function build(machine: string, url: string, token: 'token' | 'writeToken') {
  const code = `
import { truncate, writeFile } from 'node:fs/promises'
const { openStore } = await import(${dist('store.js')})
const { cacheKey } = await import(${dist('key.js')})
const { http } = await import(${dist('remote/index.js')})
const warnings = []
const remote = {
  store: http({ url: ${JSON.stringify(url)}, ${token}: 'token' }),
  secret: 'a secret of at least 32 characters',
}
const dir = ${JSON.stringify(join(folder, machine))}
const store = openStore({ dir, maxSize: 1e12, maxAge: 1e12, warn: (line) => warnings.push(line), remote })
const request = { key: cacheKey({ model: 'large' }), importKey: 'large.onnx', label: 'large' }
const { reason, artifact } = await store.getOrBuild(request, async (output) => {
  await writeFile(output, 'engine')
  await truncate(output, ${size})
})
await store.collect()
const peak = process.resourceUsage().maxRSS * 1024
console.log(JSON.stringify({ reason, size: artifact.size, sha256: artifact.sha256, warnings, peak }))`
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', code])
  return JSON.parse(stdout) as Readonly<Record<string, unknown>> & { readonly peak: number }
}

test('an engine of 1 GB goes to a remote cache and back a piece at a time', { timeout: 300_000 }, async () => {
  const url = await serve()
  const written = await build('writer', url, 'writeToken')
  expect(written).toMatchObject({ reason: 'miss: new', size, warnings: [] })
  const read = await build('reader', url, 'token')
  expect(read).toMatchObject({ reason: 'hit: remote', size, sha256: written['sha256'], warnings: [] })
  console.log(`peak memory: ${Math.round(written.peak / 1e6)} MB to write, ${Math.round(read.peak / 1e6)} MB to read`)
  expect(Math.max(written.peak, read.peak)).toBeLessThan(size / 4)
})

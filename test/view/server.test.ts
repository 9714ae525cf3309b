import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCommand } from '../support/command.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel } from '../support/models.ts'
import { startView, type StartedView } from '../support/view.ts'

const folder = tempFolder()
let view: StartedView

beforeAll(async () => {
  writeFileSync(join(folder, 'double.onnx'), affineModel())
  writeFileSync(join(folder, 'secret.txt'), 'secret')
  view = await startView([folder, '--root', folder])
})
afterAll(() => view?.end())

interface Sent {
  readonly path: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Sends a path as it is, which fetch() would tidy. */
async function send({ path, method = 'GET', headers = {} }: Sent): Promise<{ status: number; body: string }> {
  const { hostname, port } = new URL(view.url)
  const asked = request({ hostname, port, path, method, headers })
  asked.end()
  const [response] = await once(asked, 'response')
  const parts: Buffer[] = []
  for await (const part of response) parts.push(part as Buffer)
  return { status: response.statusCode, body: Buffer.concat(parts).toString() }
}

const inPage = (path: string) => new URL(view.url).pathname + path

test('the page and its models are served to who has its address', async () => {
  expect((await send({ path: inPage('') })).body).toContain('<div id="app">')
  expect(JSON.parse((await send({ path: inPage('api/overview') })).body)).toMatchObject({
    models: [{ id: 'double.onnx', file: 'double.onnx' }],
    isLive: false,
  })
})

describe('requests that are refused with 403', () => {
  test.each<readonly [string, () => Sent]>([
    ['without a token', () => ({ path: '/' })],
    ['with another token', () => ({ path: `/${'a'.repeat(32)}/api/overview` })],
    ['for another host, as after DNS rebinding', () => ({ path: inPage(''), headers: { host: 'evil.example:80' } })],
    ['from another origin', () => ({ path: inPage('api/overview'), headers: { origin: 'http://evil.example' } })],
    ['from another port', () => ({ path: inPage('api/overview'), headers: { origin: 'http://127.0.0.1:1' } })],
    ['from another site', () => ({ path: inPage('api/overview'), headers: { 'sec-fetch-site': 'cross-site' } })],
  ])('%s', async (_, sent) => {
    const { status, body } = await send(sent())
    expect(status).toBe(403)
    expect(body).not.toContain('double')
  })
})

test.each(['../secret.txt', '..%2fsecret.txt', 'assets/../../../package.json', '%2e%2e/secret.txt', 'constructor'])(
  'the path %s leads nowhere',
  async (path) => {
    const { status, body } = await send({ path: inPage(path) })
    expect([403, 404]).toContain(status)
    expect(body).not.toContain('secret')
  },
)

test.each(['../secret.txt', '/etc/passwd', '', '__proto__'])('the id %j of a model names no file', async (id) => {
  const { status, body } = await send({ path: inPage(`api/graph?model=${encodeURIComponent(id)}`) })
  expect(status).toBe(400)
  expect(JSON.parse(body)).toMatchObject({ error: expect.stringContaining('expected a model of this page') })
})

test('a link cannot run a model', async () => {
  expect((await send({ path: inPage('api/run?target=double.onnx') })).status).toBe(405)
  expect((await send({ path: inPage('api/profile?engine=engine:1') })).status).toBe(405)
})

test('a taken port is an error with a hint', async () => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  const { port } = other.address() as { readonly port: number }
  const { code, stderr } = await runCommand(['view', folder, '--port', String(port), '--no-open'])
  other.close()
  expect(code).toBe(1)
  expect(stderr).toContain('received one that another program uses')
  expect(stderr).toContain('Leave --port out')
})

test.each([
  [['view', join(folder, 'none.onnx'), '--no-open'], 'none.onnx'],
  [['view', folder, '--port', 'abc', '--no-open'], '--port abc'],
])('%j ends with an error', async (args, text) => {
  const { code, stderr } = await runCommand(args)
  expect(code).toBe(1)
  expect(stderr).toContain(text)
})

test.skipIf(process.platform === 'win32')('Ctrl-C ends the command', async () => {
  const other = await startView([folder, '--root', folder])
  expect(await other.end()).toBe(0)
})

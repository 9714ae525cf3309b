import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import onnx from 'unplugin-onnx/vite'
import { createServer, type ViteDevServer } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { missingChromium, openChromium, openPage } from '../support/chromium.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel } from '../support/models.ts'

test.skipIf(missingChromium)('the page in the dev server follows the build, with its errors', async () => {
  const root = join(tempFolder(), 'app')
  mkdirSync(root)
  writeFileSync(join(root, 'double.onnx'), affineModel())
  writeFileSync(join(root, 'broken.onnx'), 'no model')
  writeFileSync(join(root, 'index.html'), '<!doctype html>')
  const server = await createServer({ root, base: '/sub/', configFile: false, logLevel: 'silent', plugins: [onnx()] })
  const browser = await openChromium()
  try {
    await server.listen(0)
    await using opened = await openPage(browser, `${server.resolvedUrls?.local[0]}__onnx`)
    const { page } = opened
    await page.getByRole('tab', { name: 'Build' }).click()
    await server.ssrLoadModule('/double.onnx')
    await page.locator('.event-engine', { hasText: 'double' }).first().waitFor()
    await server.ssrLoadModule('/broken.onnx').catch(() => undefined)
    await page.locator('.event-failed', { hasText: 'expected an ONNX model' }).waitFor()
    // The page shows the first model, which is the broken one.
    expect(opened.lines.filter((line) => !line.includes('status of 400'))).toEqual([])
  } finally {
    await browser.close()
    await server.close()
  }
})

describe('attacks on the page in the dev server', () => {
  const root = join(tempFolder(), 'attacked')
  let server: ViteDevServer
  beforeAll(async () => {
    mkdirSync(root)
    writeFileSync(join(root, 'double.onnx'), affineModel())
    writeFileSync(join(root, 'secret.txt'), 'hidden words')
    server = await createServer({ root, configFile: false, logLevel: 'silent', plugins: [onnx()] })
    await server.listen(0)
  })
  afterAll(() => server?.close())

  /** Sends a path as it is, which fetch() would tidy. */
  async function send(path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET') {
    const { hostname, port } = new URL(server.resolvedUrls?.local[0] ?? '')
    const asked = request({ hostname, port, path, headers, method })
    asked.end()
    const [response] = await once(asked, 'response')
    const parts: Buffer[] = []
    for await (const part of response) parts.push(part as Buffer)
    return { status: response.statusCode as number, body: Buffer.concat(parts).toString() }
  }

  test('the page itself gets an answer', async () => {
    expect((await send('/__onnx/api/overview')).body).toContain('double.onnx')
  })

  test.each([
    ['from another origin', { origin: 'http://evil.example' }],
    ['from another port', { origin: 'http://localhost:1' }],
    ['from another site', { 'sec-fetch-site': 'cross-site' }],
    ['for another host, as after DNS rebinding', { host: 'evil.example' }],
  ])('a request %s is refused with 403', async (_, headers) => {
    const { status, body } = await send('/__onnx/api/overview', headers)
    expect(status).toBe(403)
    expect(body).not.toContain('double')
  })

  test.each(['../secret.txt', '..%2fsecret.txt', '%2e%2e/secret.txt', 'assets/..%5c..%5csecret.txt'])(
    'the path %s leads to no file next to the page',
    async (path) => {
      const { body } = await send(`/__onnx/assets/${path}`)
      expect(body).not.toContain('hidden words')
    },
  )

  test('another page cannot run a model', async () => {
    expect((await send('/__onnx/api/run?target=double.onnx', { origin: 'http://evil.example' }, 'POST')).status).toBe(
      403,
    )
    expect((await send('/__onnx/api/run?target=double.onnx')).status).toBe(405)
  })
})

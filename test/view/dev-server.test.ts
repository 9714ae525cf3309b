import { once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import onnx from 'unplugin-onnx/vite'
import { createServer, type ViteDevServer } from 'vite'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { missingChromium, openChromium, openPage } from '../support/chromium.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel, onnxModel } from '../support/models.ts'
import { layeredNet } from './nets.ts'

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

test.skipIf(missingChromium)(
  'the page in the dev server shows how long a build takes next to the last one',
  async () => {
    const root = join(tempFolder(), 'slow')
    const held = join(root, 'held')
    mkdirSync(root)
    writeFileSync(join(root, 'double.onnx'), affineModel())
    writeFileSync(join(root, 'index.html'), '<!doctype html>')
    const server = await createServer({ root, configFile: false, logLevel: 'silent', plugins: [onnx()] })
    const browser = await openChromium()
    try {
      await server.listen(0)
      await server.ssrLoadModule('/double.onnx')
      writeFileSync(join(root, 'double.onnx'), onnxModel(layeredNet(1)))
      writeFileSync(held, '')
      vi.stubEnv('HELD', held)
      vi.stubEnv('NODE_OPTIONS', `--import ${new URL('../support/hold-child.mjs', import.meta.url).href}`)
      server.moduleGraph.invalidateAll()
      const built = server.ssrLoadModule('/double.onnx')
      await using opened = await openPage(browser, `${server.resolvedUrls?.local[0]}__onnx`)
      const { page } = opened
      await page.getByRole('tab', { name: 'Build' }).click()
      const line = page.locator('.event-started')
      await line.filter({ hasText: /^double compiles: [1-9]\d*\.\d s of about [\d.]+ s$/ }).waitFor()
      expect(await line.locator('progress').count()).toBe(1)
      const seconds = async () => Number(/([\d.]+) s of/.exec((await line.textContent()) ?? '')?.[1])
      const soFar = await seconds()
      // A page that opens late counts from the start of the build as well.
      await page.reload()
      await page.getByRole('tab', { name: 'Build' }).click()
      expect(await seconds()).toBeGreaterThanOrEqual(soFar)
      rmSync(held)
      await built
      await page.locator('.event-engine').nth(1).waitFor()
      await line.waitFor({ state: 'detached' })
      expect(opened.lines).toEqual([])
    } finally {
      vi.unstubAllEnvs()
      rmSync(held, { force: true })
      await browser.close()
      await server.close()
    }
  },
)

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

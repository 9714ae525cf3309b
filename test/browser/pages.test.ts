import { readdirSync, readFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser } from 'playwright-core'
import onnx from 'unplugin-onnx/vite'
import { createServer, preview } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { withVite } from '../support/bundlers.ts'
import { missingChromium, openChromium, openPage } from '../support/chromium.ts'
import { tempFolder } from '../support/helpers.ts'
import { attempt, classify, expectedClasses, writePageApp } from '../support/page-app.ts'
import { pageCases } from '../support/page-bundlers.ts'
import { isolated, serveFolder } from '../support/web-server.ts'

const root = join(tempFolder(), 'app')
let browser: Browser
let expected: readonly number[]

function outputOf(name: string): string {
  return join(root, '..', name.replace(/\W+/g, '-'))
}

function expectNumbers(classes: readonly number[] | undefined): void {
  expect(classes).toHaveLength(expected.length)
  for (const [index, value] of expected.entries())
    expect(Math.abs((classes?.[index] ?? NaN) - value)).toBeLessThan(1e-5)
}

describe.skipIf(missingChromium)('in a page,', () => {
  beforeAll(async () => {
    writePageApp(root)
    await withVite({ root, dir: outputOf('plain'), options: { web: { threads: 2 } } }, {})
    browser = await openChromium()
    expected = await expectedClasses()
  })
  afterAll(() => browser?.close())

  describe.each(pageCases)('$bundler ($how):', ({ bundler, how, run }) => {
    const dir = outputOf(`${bundler} ${how}`)

    test('the output has one WebAssembly file and an engine for each model', async () => {
      await run({ root, dir })
      const files = readdirSync(dir, { recursive: true }).map(String)
      const [wasm, ...others] = files.filter((file) => file.endsWith('.wasm'))
      expect(wasm?.split(sep).at(-1)).toMatch(/^ort-wasm-simd-threaded-[\w-]+\.wasm$/)
      expect(others).toEqual([])
      expect(files.filter((file) => file.endsWith('.ort'))).toHaveLength(3)
    })

    test('models give the numbers of Node.js below a path, without isolation', async () => {
      await using server = await serveFolder(dir, {
        base: how.includes('./') || !bundler.includes('Vite') ? '/deep/app/' : '/',
      })
      await using opened = await openPage(browser, server.url)
      const { value, error } = await classify(opened.page)
      expect(error).toBeUndefined()
      expectNumbers(value?.classes)
      expect(value?.variant).toEqual({ backend: 'wasm', engine: 'fp32', session: 'worker', skipped: [] })
      expect(opened.lines.filter((line) => line.includes('Cross-Origin-Opener-Policy: same-origin'))).toHaveLength(1)
      const small = await attempt<number[]>(
        opened.page,
        `app.triple.infer({ x: Float32Array.of(1, 2, 3, 4) }).then(({ y }) => [...y.data])`,
      )
      expect(small).toEqual({ value: [4, 7, 10, 13] })
      const [, ...again] = server.requests.filter((path) => path.endsWith('.wasm'))
      expect(again).toEqual([])
    })
  })

  test('two threads run in an isolated page, with a strict Content-Security-Policy', async () => {
    const policy = { 'Content-Security-Policy': `default-src 'self'; script-src 'self' 'wasm-unsafe-eval'` }
    await using server = await serveFolder(outputOf('plain'), { headers: { ...isolated, ...policy } })
    await using opened = await openPage(browser, server.url)
    const { value, error } = await classify(opened.page)
    expect(error).toBeUndefined()
    expectNumbers(value?.classes)
    expect(opened.lines.join('\n')).not.toContain('one thread')
    // Each thread is a worker that loads the code around the WebAssembly again.
    expect(server.requests.filter((path) => /ort-wasm-simd-threaded-\w+\.mjs$/.test(path))).toHaveLength(2)
  })

  test('a worker of the app runs models of its own', async () => {
    const dir = outputOf('own worker')
    const code = `new Promise((done) => {
      const worker = new Worker(new URL('./own-worker.js', import.meta.url), { type: 'module' })
      worker.onmessage = ({ data }) => done([...data])
      worker.postMessage(Float32Array.of(1, 2, 3, 4))
    })`
    const plugin = {
      name: 'own-worker',
      transform: (text: string, id: string) =>
        id.endsWith('main.js') ? `${text}\nglobalThis.ask = () => ${code}` : null,
    }
    await withVite({ root, dir }, {}, undefined, {
      plugins: [plugin],
      worker: { format: 'es', plugins: () => [onnx()] },
    })
    expect(readdirSync(join(dir, 'assets')).filter((file) => file.endsWith('.wasm'))).toHaveLength(1)
    await using server = await serveFolder(dir)
    await using opened = await openPage(browser, server.url)
    expect(await attempt(opened.page, 'ask()')).toEqual({ value: [4, 7, 10, 13] })
  })

  test("the dev server of Vite serves models, and isolates pages with 'web.isolate'", async () => {
    const server = await createServer({
      root,
      base: '/sub/',
      configFile: false,
      logLevel: 'silent',
      plugins: [onnx({ web: { isolate: true, threads: 2 } })],
    })
    try {
      await server.listen(0)
      await using opened = await openPage(browser, server.resolvedUrls?.local[0] ?? '')
      const { value, error } = await classify(opened.page)
      expect(error).toBeUndefined()
      expectNumbers(value?.classes)
      expect(await opened.page.evaluate('crossOriginIsolated')).toBe(true)
    } finally {
      await server.close()
    }
  })

  test('the preview of Vite isolates pages, too', async () => {
    const server = await preview({
      root,
      configFile: false,
      logLevel: 'silent',
      plugins: [onnx({ web: { isolate: true } })],
      build: { outDir: outputOf('plain') },
      preview: { port: 0 },
    })
    try {
      await using opened = await openPage(browser, server.resolvedUrls?.local[0] ?? '')
      expect((await classify(opened.page)).error).toBeUndefined()
      expect(await opened.page.evaluate('crossOriginIsolated')).toBe(true)
    } finally {
      await server.close()
    }
  })

  test('a page whose files are on a CDN runs models', async () => {
    const dir = outputOf('cdn')
    await using cdn = await serveFolder(dir, { headers: { 'Access-Control-Allow-Origin': '*' } })
    await withVite({ root, dir }, {}, undefined, { base: cdn.url })
    await using server = await serveFolder(dir)
    await using opened = await openPage(browser, server.url)
    const { value, error } = await classify(opened.page)
    expect(error).toBeUndefined()
    expectNumbers(value?.classes)
    expect(server.requests.filter((path) => path.includes('assets/'))).toEqual([])
  })

  test('a page with the service worker of docs/browser.md works offline', async () => {
    const code = /^```js\n(\/\/ sw\.js\n.*?)^```/ms.exec(readFileSync('docs/browser.md', 'utf8'))?.[1] ?? ''
    const server = await serveFolder(outputOf('plain'))
    server.intercept = (path, response) => {
      if (path !== 'sw.js') return false
      response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(code)
      return true
    }
    await using opened = await openPage(browser, server.url)
    await opened.page.evaluate(`navigator.serviceWorker.register('/sw.js').then(() => navigator.serviceWorker.ready)`)
    await opened.page.reload()
    expect((await classify(opened.page)).error).toBeUndefined()
    await server[Symbol.asyncDispose]()
    await opened.page.reload()
    const { value, error } = await classify(opened.page)
    expect(error).toBeUndefined()
    expectNumbers(value?.classes)
  })

  test('a page of a file: URL gets an error with the way out', async () => {
    const file = pathToFileURL(join(outputOf('esbuild iife'), 'index.html')).href
    await using opened = await openPage(browser, file)
    const { error } = await classify(opened.page)
    expect(error).toMatchObject({ isOurs: true, message: expect.stringContaining('pages of file: cannot fetch') })
  })
})

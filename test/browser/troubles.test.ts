import { readFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { withVite } from '../support/bundlers.ts'
import { missingChromium, openChromium, openPage } from '../support/chromium.ts'
import { tempFolder } from '../support/helpers.ts'
import { attempt, type Attempt, classify, imageData, writePageApp } from '../support/page-app.ts'
import { serveFolder } from '../support/web-server.ts'

const root = join(tempFolder(), 'app')
const dir = join(root, '..', 'dist')
let browser: Browser

const engine = /cls_infer.*\.ort$/
const wasm = /\.wasm$/
const worker = /worker-main.*\.js$/
const library = /ort-wasm-min.*\.mjs$/

type Answer = (response: ServerResponse, path: string) => void

const html: Answer = (response) =>
  response.writeHead(200, { 'Content-Type': 'text/html' }).end('<!doctype html><title>page</title>')
const status =
  (code: number): Answer =>
  (response) =>
    response.writeHead(code).end('no')
const file = (path: string): Buffer => readFileSync(join(dir, path))

/** Promises half of the bytes more than it sends, then cuts the connection. */
const cut: Answer = (response, path) => {
  const bytes = file(path)
  response.writeHead(200, { 'Content-Length': bytes.length })
  response.write(bytes.subarray(0, bytes.length >> 1), () => response.destroy())
}
const truncated: Answer = (response, path) => {
  const bytes = file(path)
  response.writeHead(200, { 'Content-Type': 'application/wasm' }).end(bytes.subarray(0, bytes.length >> 1))
}
const changed: Answer = (response, path) => {
  const bytes = file(path)
  response.writeHead(200).end(bytes.map((byte, index) => (index === bytes.length >> 1 ? byte ^ 1 : byte)))
}
/** The WebAssembly of another flavour, as of another version. */
const otherWasm: Answer = (response) => {
  const other = join(
    createRequire(import.meta.url).resolve('onnxruntime-web'),
    '..',
    'ort-wasm-simd-threaded.jspi.wasm',
  )
  response.writeHead(200, { 'Content-Type': 'application/wasm' }).end(readFileSync(other))
}

describe.skipIf(missingChromium)('in a page,', () => {
  beforeAll(async () => {
    writePageApp(root)
    await withVite({ root, dir }, {})
    browser = await openChromium()
  })
  afterAll(() => browser?.close())

  test.each<[string, RegExp, Answer, RegExp]>([
    ['an engine that is an HTML page', engine, html, /\.ort: expected \d+ bytes.*status 200, an HTML page.*404/],
    ['an engine that is not there', engine, status(404), /\.ort: .*received status 404\. Deploy all files/],
    ['an engine of a server that fails', engine, status(500), /received status 500, 3 times/],
    ['an engine that is cut', engine, cut, /received no answer \(.*\), after \d+ bytes, 3 times/],
    ['an engine that is too short', engine, truncated, /received status 200 with \d+ bytes, 3 times/],
    ['an engine with another byte', engine, changed, /received SHA-256 [\da-f]{64}, 3 times/],
    ['a WebAssembly file that is an HTML page', wasm, html, /\.wasm: .*status 200, an HTML page/],
    ['a WebAssembly file that is not there', wasm, status(404), /\.wasm: .*status 404/],
    [
      'a WebAssembly file of another version',
      wasm,
      otherWasm,
      /\.wasm: .*more than \d+ bytes.*deploy the output again/,
    ],
    ['a worker that is not there', worker, status(404), /worker-main[\w-]+\.js: expected a script.*status 404/],
    ['a worker that is an HTML page', worker, html, /worker-main[\w-]+\.js: .*an HTML page/],
    ['a library that is not there', library, status(404), /ort-wasm-min[\w-]+\.mjs: .*status 404/],
    ['a library that is an HTML page', library, html, /ort-wasm-min[\w-]+\.mjs: .*an HTML page/],
  ])(
    '%s is an error with URL, status and next step, and load() can be called again',
    async (_, path, answer, message) => {
      await using server = await serveFolder(dir)
      await using opened = await openPage(browser, server.url)
      server.intercept = (asked, response) => path.test(asked) && (answer(response, asked), true)
      const { error } = await classify(opened.page)
      expect(error).toMatchObject({ isOurs: true, code: 'ARTIFACT_INVALID', message: expect.stringMatching(message) })
      expect(error?.message).toContain(server.url)
      server.intercept = () => false
      expect((await attempt(opened.page, 'app.classifier.load().then(() => 1)')).value).toBe(1)
      expect((await classify(opened.page)).value?.classes).toHaveLength(2)
    },
  )

  test.each([
    ['engine', engine, cut],
    ['engine', engine, changed],
    ['WebAssembly file', wasm, truncated],
  ])('one download of the %s that goes wrong is tried again', async (_, path, answer) => {
    await using server = await serveFolder(dir)
    await using opened = await openPage(browser, server.url)
    let failures = 0
    server.intercept = (asked, response) => path.test(asked) && failures++ === 0 && (answer(response, asked), true)
    expect((await classify(opened.page)).error).toBeUndefined()
    expect(failures).toBe(2)
  })

  test('load() reports the bytes that have arrived, up to all of them', async () => {
    await using server = await serveFolder(dir)
    await using opened = await openPage(browser, server.url)
    const { value } = await attempt<{ received: number; expected: number }[]>(
      opened.page,
      `(async () => {
        const seen = []
        await app.classifier.load({ onProgress: (progress) => seen.push(progress) })
        return seen
      })()`,
    )
    const sizes = server.requests
      .filter((path) => engine.test(path) || wasm.test(path))
      .map((path) => file(path).length)
    const total = sizes.reduce((sum, size) => sum + size, 0)
    expect(value?.at(-1)).toEqual({ received: total, expected: total })
    expect(value?.length).toBeGreaterThan(4)
    const received = value?.map((progress) => progress.received) ?? []
    expect(received).toEqual([...received].sort((a, b) => a - b))
  })

  test('a browser without WebAssembly SIMD gets NO_VARIANT with that reason', async () => {
    await using server = await serveFolder(dir)
    await using opened = await openPage(browser, server.url)
    await opened.page.evaluate('WebAssembly.validate = () => false')
    expect((await classify(opened.page)).error).toMatchObject({
      code: 'NO_VARIANT',
      message: expect.stringContaining('wasm fp32 (this browser has no WebAssembly SIMD)'),
    })
  })

  test('calls after pagehide are refused, and work again after pageshow', async () => {
    await using server = await serveFolder(dir)
    await using opened = await openPage(browser, server.url)
    expect((await classify(opened.page)).error).toBeUndefined()
    const running = classify(opened.page)
    await opened.page.evaluate(`dispatchEvent(new Event('pagehide'))`)
    await running
    const hidden = await classify(opened.page)
    expect(hidden.error).toMatchObject({ code: 'WORKER_CRASHED', message: expect.stringContaining('pagehide') })
    await opened.page.evaluate(`dispatchEvent(new Event('pageshow'))`)
    expect((await classify(opened.page)).value?.classes).toHaveLength(2)
  })

  test('an inference that takes more memory than WebAssembly can have is an error that says so', async () => {
    await using server = await serveFolder(dir)
    await using opened = await openPage(browser, server.url)
    const square = (size: number): Promise<Attempt<number>> =>
      attempt(
        opened.page,
        `(async () => {
          const vector = new Float32Array(${size})
          const [a, b] = [[${size}, 1], [1, ${size}]].map((dims) => ({ data: vector, dims }))
          const { c } = await app.outer.infer({ a, b })
          return c.data.length
        })()`,
      )
    // 6.4 GB, of which 32 bits address 4.
    expect((await square(40_000)).error).toMatchObject({
      code: 'INFERENCE_FAILED',
      message: expect.stringContaining('WebAssembly has at most 4 GB'),
    })
    expect((await square(40)).value).toBe(1600)
  })

  test('signal and transfer work as in Node.js', async () => {
    await using server = await serveFolder(dir)
    await using opened = await openPage(browser, server.url)
    const aborted = await attempt(
      opened.page,
      `(async () => {
      await app.classifier.load()
      const image = ${JSON.stringify(imageData())}
      const controller = new AbortController()
      const calls = [1, 2, 3].map(() => app.classify(image, { signal: controller.signal }))
      controller.abort()
      const results = await Promise.allSettled(calls)
      return results.map(({ reason }) => reason?.code)
    })()`,
    )
    expect(aborted.value).toEqual(['ABORTED', 'ABORTED', 'ABORTED'])
    const moved = await attempt(
      opened.page,
      `(async () => {
      const [kept, moved] = [Float32Array.of(1, 2, 3, 4), Float32Array.of(1, 2, 3, 4)]
      await app.triple.infer({ x: kept })
      await app.triple.infer({ x: moved }, { transfer: true })
      return [kept.length, moved.length]
    })()`,
    )
    expect(moved.value).toEqual([4, 0])
    const disposed = await attempt(
      opened.page,
      'app.triple.dispose().then(() => app.triple.infer({ x: new Float32Array(4) }))',
    )
    expect(disposed.error?.code).toBe('DISPOSED')
    const wrong = await attempt(opened.page, 'app.classifier.infer({ y: new Float32Array(4) })')
    expect(wrong.error).toMatchObject({ code: 'INPUT_INVALID', isOurs: true })
  })
})

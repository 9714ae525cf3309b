import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { withVite } from '../support/bundlers.ts'
import { missingChromium, openChromium, openPage, softwareGpu } from '../support/chromium.ts'
import { tempFolder } from '../support/helpers.ts'
import { attempt, writePageApp } from '../support/page-app.ts'
import { serveFolder } from '../support/web-server.ts'

const root = join(tempFolder(), 'app')
const small = `app.triple
  .infer({ x: Float32Array.of(1, 2, 3, 4) })
  .then(({ y }) => ({ y: [...y.data], variant: app.triple.variant }))`

interface Small {
  readonly y: readonly number[]
  readonly variant: object
}

async function buildPage(name: string, web: object, engine: 'fp32' | 'fp16' = 'fp32'): Promise<string> {
  const dir = join(root, '..', name)
  await withVite({ root, dir, options: { web, engine } }, {})
  return dir
}

describe.skipIf(missingChromium)('WebGPU in a page', () => {
  let software: Browser
  let none: Browser
  beforeAll(async () => {
    writePageApp(root)
    software = await openChromium(softwareGpu)
    none = await openChromium()
  })
  afterAll(() => Promise.all([software?.close(), none?.close()]))

  test.each(['asyncify', 'jspi'] as const)(
    'the flavour %s is the only WebAssembly file, and gives the right numbers on an accepted adapter',
    async (webgpu) => {
      const dir = await buildPage(webgpu, { webgpu, allowSoftware: true })
      const files = readdirSync(join(dir, 'assets')).map((file) => file.replace(/-[\da-f]{10}\./, '.'))
      expect(files.filter((file) => file.endsWith('.wasm'))).toEqual([`ort-wasm-simd-threaded-${webgpu}.wasm`])
      for (const name of ['outer', 'triple', 'ch_ppocr_mobile_v2_0_cls_infer'])
        expect(files).toEqual(expect.arrayContaining([`${name}-wasm.ort`, `${name}-webgpu.onnx`]))
      await using server = await serveFolder(dir)
      await using opened = await openPage(software, server.url)
      const { value, error } = await attempt<Small>(opened.page, small)
      expect(error).toBeUndefined()
      expect(value).toEqual({
        y: [4, 7, 10, 13],
        variant: { backend: 'webgpu', engine: 'fp32', session: 'worker', skipped: [] },
      })
    },
  )

  test('a software adapter is passed over with that reason, unless it is accepted', async () => {
    const dir = await buildPage('refused', { webgpu: 'asyncify' })
    await using server = await serveFolder(dir)
    await using opened = await openPage(software, server.url)
    const { value, error } = await attempt<Small>(opened.page, small)
    expect(error).toBeUndefined()
    expect(value).toMatchObject({
      y: [4, 7, 10, 13],
      variant: {
        backend: 'wasm',
        skipped: [{ backend: 'webgpu', reason: expect.stringMatching(/the adapter of WebGPU is software/) }],
      },
    })
  })

  test('a browser without an adapter runs the engine for WebAssembly', async () => {
    await using server = await serveFolder(join(root, '..', 'refused'))
    await using opened = await openPage(none, server.url)
    const { value } = await attempt<Small>(opened.page, small)
    expect(value?.variant).toMatchObject({ backend: 'wasm', skipped: [{ reason: 'WebGPU has no adapter here' }] })
  })

  test('fp16 needs shader-f16', async () => {
    const dir = await buildPage('half', { webgpu: 'asyncify', allowSoftware: true }, 'fp16')
    await using server = await serveFolder(dir)
    await using opened = await openPage(software, server.url)
    const { value, error } = await attempt<Small>(opened.page, small)
    expect(error).toBeUndefined()
    expect(value).toMatchObject({
      y: [4, 7, 10, 13],
      variant: { backend: 'wasm', engine: 'fp16', skipped: [{ reason: 'the GPU has no fp16 (shader-f16)' }] },
    })
  })

  test('a device that is lost is replaced by a new one', async () => {
    await using server = await serveFolder(join(root, '..', 'asyncify'))
    // Keeps the device, and loses it as often as the page says.
    const keepDevice = `const { requestDevice } = GPUAdapter.prototype
GPUAdapter.prototype.requestDevice = async function (...args) {
  const device = await requestDevice.apply(this, args)
  const channel = new BroadcastChannel('lose')
  channel.onmessage = () => { device.destroy(); channel.postMessage('lost') }
  return device
}
`
    server.intercept = (path, response) => {
      if (!/worker-main.*\.js$/.test(path)) return false
      const text = readFileSync(join(root, '..', 'asyncify', path), 'utf8')
      response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(keepDevice + text)
      return true
    }
    await using opened = await openPage(software, server.url)
    expect((await attempt<Small>(opened.page, small)).value?.y).toEqual([4, 7, 10, 13])
    await opened.page.evaluate(`new Promise((done) => {
      const channel = new BroadcastChannel('lose')
      channel.onmessage = done
      channel.postMessage('lose')
    })`)
    const { value, error } = await attempt<Small>(opened.page, small)
    expect(error).toBeUndefined()
    expect(value?.y).toEqual([4, 7, 10, 13])
    expect(server.requests.filter((path) => /worker-main/.test(path))).toHaveLength(2)
  })
})

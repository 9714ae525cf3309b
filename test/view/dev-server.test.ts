import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import onnx from 'unplugin-onnx/vite'
import { createServer } from 'vite'
import { expect, test } from 'vitest'
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

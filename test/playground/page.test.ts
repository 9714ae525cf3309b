import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { decode } from 'fast-png'
import { build } from 'vite'
import { describe, expect, test } from 'vitest'
import { missingChromium, openChromium, openPage } from '../support/chromium.ts'
import { tempFolder } from '../support/helpers.ts'
import { isolated, serveFolder } from '../support/web-server.ts'

const images = new URL('../../playground/images/', import.meta.url)
const expected = JSON.parse(readFileSync(new URL('expected.json', images), 'utf8')) as Record<string, string[]>

function withoutSpaces(lines: readonly string[]): string[] {
  return lines.map((line) => line.replaceAll(' ', ''))
}

describe.skipIf(missingChromium)('the page of the playground', () => {
  test.each(['straight.png', 'receipt.png'])('reads %s, which is dropped on it, as the terminal does', async (name) => {
    const outDir = join(tempFolder(), 'page')
    const configFile = fileURLToPath(new URL('../../playground/vite.config.ts', import.meta.url))
    await build({ configFile, mode: 'page', logLevel: 'warn', build: { outDir, emptyOutDir: true } })
    await using server = await serveFolder(outDir, { headers: isolated })
    const browser = await openChromium()
    try {
      await using opened = await openPage(browser, server.url)
      await opened.page.waitForFunction(`document.getElementById('status').textContent.startsWith('Ready')`)
      const bytes = readFileSync(new URL(name, images)).toString('base64')
      await opened.page.evaluate(`fetch('data:image/png;base64,${bytes}').then(async (response) => {
        const transfer = new DataTransfer()
        transfer.items.add(new File([await response.blob()], ${JSON.stringify(name)}, { type: 'image/png' }))
        dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, cancelable: true }))
      })`)
      await opened.page.waitForFunction(`/ lines in \\d+ ms$/.test(document.getElementById('status').textContent)`)
      const texts = await opened.page.locator('#lines li').allTextContents()
      expect(withoutSpaces(texts)).toEqual(withoutSpaces(expected[name] ?? []))
      // Text is dark on light, and its outlines are orange: a blank page would have one colour.
      const screenshot = decode(await opened.page.screenshot({ path: join(outDir, 'screenshot.png') }))
      expect(new Set(screenshot.data).size).toBeGreaterThan(100)
    } finally {
      await browser.close()
    }
  })
})

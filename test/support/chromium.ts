import { existsSync } from 'node:fs'
import { chromium, type Browser, type Page } from 'playwright-core'

const places = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
]

const executablePath = process.env['CHROMIUM'] ?? places.find((place) => existsSync(place))

/** Why no page can be opened here; undefined when one can. With CI=true, its absence fails the tests instead. */
export const missingChromium: string | undefined =
  executablePath === undefined && process.env['CI'] !== 'true'
    ? 'there is no Chromium: install it (apt-get install chromium), or set CHROMIUM to its path'
    : undefined
if (missingChromium) console.warn(`tests in a browser are skipped: ${missingChromium}`)

const quiet = ['--no-sandbox', '--disable-quic', '--disable-background-networking', '--disable-component-update']

/** Flags with which Chromium has WebGPU without a GPU. */
export const softwareGpu: readonly string[] = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
  '--use-vulkan=swiftshader',
]

export function openChromium(flags: readonly string[] = ['--disable-gpu']): Promise<Browser> {
  if (executablePath === undefined) throw new Error('there is no Chromium, and CI=true needs one')
  return chromium.launch({ executablePath, args: [...quiet, ...flags] })
}

/** A page that has loaded a URL, and what it has printed and thrown. */
export interface OpenedPage extends AsyncDisposable {
  readonly page: Page
  readonly lines: string[]
}

export async function openPage(browser: Browser, url: string): Promise<OpenedPage> {
  const context = await browser.newContext()
  const page = await context.newPage()
  const lines: string[] = []
  page.on('console', (message) => lines.push(message.text()))
  page.on('pageerror', (error) => lines.push(String(error)))
  await page.goto(url)
  return { page, lines, [Symbol.asyncDispose]: () => context.close() }
}

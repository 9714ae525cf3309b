import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { chromium, type Browser, type Page } from 'playwright-core'
import { unpackChromium } from './unpack-chromium.ts'

const places = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
]

const installed = process.env['CHROMIUM'] || places.find((place) => existsSync(place))
// The package has a binary for this platform alone.
const carrier = process.platform === 'linux' && process.arch === 'x64' ? carrierFolder() : undefined

/** Why no page can be opened here; undefined when one can. With CI=true, the tests fail instead of being skipped. */
export const missingChromium: string | undefined =
  installed === undefined && carrier === undefined && process.env['CI'] !== 'true'
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

/** A browser of this machine, or else the one in the package @sparticuz/chromium. */
export async function openChromium(flags: readonly string[] = ['--disable-gpu']): Promise<Browser> {
  const args = [...quiet, ...flags]
  if (installed !== undefined) return chromium.launch({ executablePath: installed, args })
  if (carrier === undefined) throw new Error('CI=true needs a Chromium: install one, or set CHROMIUM to its path')
  const { executablePath, libraries } = await unpackChromium(carrier)
  return chromium.launch({ executablePath, args, env: { ...process.env, LD_LIBRARY_PATH: libraries } })
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

function carrierFolder(): string | undefined {
  try {
    return dirname(dirname(dirname(createRequire(import.meta.url).resolve('@sparticuz/chromium'))))
  } catch {
    return undefined
  }
}

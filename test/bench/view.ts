import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { timed } from '../../plugin/bench/measure-calls.ts'
import { inTurn } from '../../plugin/bench/statistics.ts'
import { openChromium } from '../support/chromium.ts'
import { onnxModel } from '../support/models.ts'
import { startView } from '../support/view.ts'
import { layeredNet, longChain } from '../view/nets.ts'
import { repository } from './build.ts'
import { workFolder } from './models.ts'
import type { Row } from './row.ts'

/** The page of `view`, compared with an empty page of the same size in the same Chromium. */
export async function viewBench(): Promise<readonly Row[]> {
  const browser = await openChromium()
  try {
    // Five nodes a block, and a Softmax.
    const paint = await withView('paint', onnxModel(layeredNet(400)), async (url) =>
      inTurn(
        5,
        () => inPage(browser, (page) => timed(() => openDrawing(page, url))),
        () => inPage(browser, (page) => timed(() => openEmpty(page, url))),
      ),
    )
    const frame = await withView('pan', onnxModel(longChain(5000)), async (url) =>
      inTurn(
        3,
        () => inPage(browser, (page) => openDrawing(page, url).then(() => slowFrame(page))),
        () => inPage(browser, (page) => openEmpty(page, url).then(() => slowFrame(page))),
      ),
    )
    const beside = 'an empty page'
    return [
      { name: '`view` of 2,000 nodes, until drawn', beside, ...paint, unit: 'ms', aim: { of: 'ours', atMost: 1500 } },
      { name: 'frame while panning 5,000 nodes, p95', beside, ...frame, unit: 'ms', aim: { of: 'ours', atMost: 20 } },
    ]
  } finally {
    await browser.close()
  }
}

async function withView<T>(name: string, model: Uint8Array, use: (url: string) => Promise<T>): Promise<T> {
  const folder = join(workFolder, `view-${name}`)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'model.onnx'), model)
  const view = await startView([folder, '--root', folder], process.env, join(repository, 'dist/plugin/cli.js'))
  try {
    return await use(view.url)
  } finally {
    await view.end()
  }
}

async function inPage(browser: Browser, use: (page: Page) => Promise<number>): Promise<number> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
  try {
    return await use(await context.newPage())
  } finally {
    await context.close()
  }
}

async function openDrawing(page: Page, url: string): Promise<void> {
  await page.goto(url)
  await page.locator('.drawing[aria-busy=false]').waitFor()
}

async function openEmpty(page: Page, url: string): Promise<void> {
  await page.route('**/empty', (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html>' }))
  await page.goto(`${url}empty`)
}

/** The 95th percentile of the times between frames while the mouse drags, in milliseconds. */
async function slowFrame(page: Page): Promise<number> {
  await page.mouse.move(700, 400)
  await page.mouse.down()
  await page.evaluate(`{
    window.frames_ = []
    const note = (time) => { window.frames_.push(time); requestAnimationFrame(note) }
    requestAnimationFrame(note)
  }`)
  for (const [x, y] of [
    [500, 300],
    [900, 500],
    [700, 400],
  ] as const)
    await page.mouse.move(x, y, { steps: 60 })
  await page.mouse.up()
  return page.evaluate<number>(`{
    const gaps = window.frames_.slice(1).map((time, index) => time - window.frames_[index]).sort((a, b) => a - b)
    gaps[Math.floor(gaps.length * 0.95)]
  }`)
}

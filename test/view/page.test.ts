import { EventEmitter, once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { encode } from 'fast-png'
import jpeg from 'jpeg-js'
import type { Browser, Page } from 'playwright-core'
import { compile } from 'unplugin-onnx'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { npyBytes } from '../../plugin/samples/npy.ts'
import { missingChromium, openChromium } from '../support/chromium.ts'
import { runCommand } from '../support/command.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel, onnxModel } from '../support/models.ts'
import { startView, type StartedView } from '../support/view.ts'
import { layeredNet, longChain, lossyNet, lossyOptions } from './nets.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const pageFolder = join(root, 'dist/view')
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

test('the whole page has at most 400 kB, compressed', () => {
  const files = ['index.html', ...readdirSync(join(pageFolder, 'assets')).map((name) => `assets/${name}`)]
  const bytes = files.map((file) => gzipSync(readFileSync(join(pageFolder, file))).length)
  expect(bytes.reduce((sum, size) => sum + size, 0)).toBeLessThan(400e3)
})

describe.skipIf(missingChromium)('the page', () => {
  const folder = tempFolder()
  let browser: Browser
  let view: StartedView
  beforeAll(async () => {
    writeFileSync(join(folder, 'detector.onnx'), onnxModel(layeredNet(12)))
    writeFileSync(join(folder, 'detector-2.onnx'), onnxModel(layeredNet(13)))
    writeFileSync(join(folder, 'double.onnx'), affineModel())
    const hostile = affineModel()
    writeFileSync(join(folder, '<img src=x onerror=alert(1)>.onnx'), hostile)
    writeFileSync(join(folder, 'hostile.onnx'), onnxModel(hostileNet))
    writeFileSync(join(folder, 'long.onnx'), onnxModel(longChain(5000)))
    await compile(join(folder, 'detector.onnx'), { root: folder, engine: 'fp16', backends: ['onnxruntime'] })
    writeFileSync(join(folder, 'lossy.onnx'), onnxModel(lossyNet('weights')))
    // The build fails: its engine and its report stay in the cache.
    const lossy = { ...lossyOptions, root: folder, backends: ['onnxruntime'] } as const
    await compile(join(folder, 'lossy.onnx'), lossy).catch(() => {})
    const bench = ['--engine', 'fp16', '--backend', 'onnxruntime', '--duration', '0.1', '--warmup', '10']
    await runCommand(['bench', join(folder, 'detector.onnx'), '--root', folder, ...bench], folder)
    view = await startView([folder, '--root', folder])
    browser = await openChromium()
  })
  afterAll(async () => {
    await browser?.close()
    await view?.end()
  })

  const open = async (model: string, theme: 'light' | 'dark' = 'light') => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: theme })
    context.setDefaultTimeout(15_000)
    const page = await context.newPage()
    const faults: string[] = []
    page.on('pageerror', (error) => faults.push(String(error)))
    page.on('console', (message) => message.type() === 'error' && faults.push(message.text()))
    page.on('dialog', (dialog) => faults.push(dialog.message()))
    page.on('request', (request) => request.url().startsWith(view.url) || faults.push(request.url()))
    await page.goto(view.url)
    await page.getByLabel('Model', { exact: true }).selectOption(model)
    await drawn(page, model)
    return { page, faults, [Symbol.asyncDispose]: () => context.close() }
  }

  test.each(['light', 'dark'] as const)('shows the graph of a model in a %s theme', async (theme) => {
    await using opened = await open('detector.onnx', theme)
    const { page } = opened
    await page.getByLabel('Search nodes').fill('conv')
    await page.locator('.row').first().click()
    await page.getByRole('button', { name: 'Path to outputs' }).click()
    await page.getByLabel('Search nodes').fill('')
    await page.locator('.inspector summary').first().click()
    await page.getByRole('img', { name: /^Histogram from/ }).waitFor()
    expect(await page.locator('.inspector').textContent()).toMatch(/Zeros/)
    expect(await seriousFaults(page)).toEqual([])
    await keepPicture(page, theme === 'dark' ? 'view-graph-dark' : 'view-graph')
    expect(opened.faults).toEqual([])
  })

  test('colours the graph by the precision of an engine', async () => {
    await using opened = await open('detector.onnx')
    const { page } = opened
    await page.getByLabel('Engine', { exact: true }).selectOption({ index: 1 })
    await page.getByLabel('Legend: Precision').getByText('fp16', { exact: true }).waitFor()
    expect(opened.faults).toEqual([])
  })

  test('measures how long nodes take, and colours the graph by it', async () => {
    await using opened = await open('detector.onnx')
    const { page } = opened
    await colourBy(page, 'time')
    await page.getByText(measuredNote).waitFor()
    await page.getByLabel('Search nodes').fill('/head/Softmax')
    await page.locator('.row').first().click()
    await page.getByLabel('Search nodes').fill('')
    await expectShare(page, 'Time')
    expect(await seriousFaults(page)).toEqual([])
    await keepPicture(page, 'view-graph-time')
    expect(opened.faults).toEqual([])
  })

  test('colours the graph by shares of the error', async () => {
    await using opened = await open('lossy.onnx')
    const { page } = opened
    await colourBy(page, 'error')
    await page.getByLabel('Legend: Share of error').locator('.count').first().waitFor()
    await page.getByLabel('Search nodes').fill('n17')
    await page.locator('.row').first().click()
    await page.getByLabel('Search nodes').fill('')
    await expectShare(page, 'Error')
    expect(await seriousFaults(page)).toEqual([])
    expect(opened.faults).toEqual([])
  })

  test('times that come before the facts of the nodes are kept', async () => {
    await using opened = await open('detector.onnx')
    const { page } = opened
    const release = await hold(page, 'nodes')
    await colourBy(page, 'time')
    await page.getByText(measuredNote).waitFor()
    const facts = page.waitForResponse(/api\/nodes/)
    release(0)
    await (await facts).finished()
    await page.getByLabel('Legend: Share of time').locator('.count').first().waitFor()
    expect(opened.faults).toEqual([])
  })

  test('times of an engine that was chosen before do not show up for a later choice', async () => {
    await using opened = await open('detector.onnx')
    const { page } = opened
    const release = await hold(page, 'profile')
    await colourBy(page, 'time')
    await page.getByText('The engine runs, to measure its nodes').waitFor()
    await page.getByLabel('Engine', { exact: true }).selectOption('')
    await colourBy(page, 'time')
    await page.getByText('The engine runs, to measure its nodes').waitFor()
    const first = page.waitForResponse(/api\/profile/)
    release(0)
    await (await first).finished()
    // A round trip: by then the page has seen the answer.
    await page.evaluate(`fetch('api/overview')`)
    expect(await page.getByText('The engine runs, to measure its nodes').count()).toBe(1)
    release(1)
    await page.getByText(measuredNote).waitFor()
    expect(opened.faults).toEqual([])
  })

  test('closes and opens scopes', async () => {
    await using opened = await open('detector.onnx')
    const { page } = opened
    await page.getByRole('button', { name: 'Close scopes' }).click()
    await page.getByRole('button', { name: 'Open scopes' }).click()
    await page.getByRole('button', { name: 'Close scopes' }).waitFor()
    expect(opened.faults).toEqual([])
  })

  test('lists engines with their size and story', async () => {
    await using opened = await open('detector.onnx')
    const { page } = opened
    await page.getByRole('tab', { name: 'Engines' }).click()
    await page.getByRole('article').first().waitFor()
    const text = await page.locator('.cards').textContent()
    expect(text).toContain('fp16')
    expect(text).toContain('onnxruntime')
    expect(text).toContain('Requirements')
    expect(text).toContain('Latency of the last bench')
    expect(text).toContain('Beside the fp32 model')
    expect(await seriousFaults(page)).toEqual([])
    await keepPicture(page, 'view-engines')
    expect(opened.faults).toEqual([])
  })

  test('compares two versions of a model', async () => {
    await using opened = await open('detector.onnx')
    const { page } = opened
    await page.getByRole('tab', { name: 'Compare' }).click()
    await page.getByLabel('Before').selectOption('detector.onnx')
    await page.getByLabel('After').selectOption('detector-2.onnx')
    await page.locator('form button', { hasText: 'Compare' }).click()
    await page.getByRole('heading', { name: /^Nodes/ }).waitFor()
    expect(await page.getByText('/block12/conv/Conv').count()).toBeGreaterThan(0)
    expect(await seriousFaults(page)).toEqual([])
    await keepPicture(page, 'view-compare')
    expect(opened.faults).toEqual([])
  })

  test('runs a model, and shows outputs and the line of code', async () => {
    await using opened = await open('detector.onnx')
    const { page } = opened
    await page.getByRole('tab', { name: 'Try' }).click()
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    await page.getByRole('heading', { name: /^Outputs/ }).waitFor()
    expect(await page.locator('pre').last().textContent()).toContain('await model.infer({ image:')
    expect(await seriousFaults(page)).toEqual([])
    await keepPicture(page, 'view-try')
    expect(opened.faults).toEqual([])
  })

  const pixels = { width: 8, height: 8, channels: 3, data: Uint8Array.from({ length: 192 }, (_, index) => index) }
  const photo = { width: 8, height: 8, data: Uint8Array.from({ length: 256 }, (_, index) => index) }
  const array = { dtype: 'float32', dims: [1, 3, 24, 24], data: new Float32Array(1728).fill(0.5) }
  test.each([
    ['a PNG image', 'photo.png', () => encode(pixels as never)],
    ['a JPEG image', 'photo.jpg', () => jpeg.encode(photo, 90).data],
    ['an .npy file', 'image.npy', () => npyBytes(array as never)],
  ])('runs a model on %s', async (_, name, bytes) => {
    writeFileSync(join(folder, name), bytes())
    await using opened = await open('detector.onnx')
    const { page } = opened
    await page.getByRole('tab', { name: 'Try' }).click()
    await page.getByLabel(/^Image or .npy file/).setInputFiles(join(folder, name))
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    await page.getByRole('heading', { name: /^Outputs/ }).waitFor()
    expect(opened.faults).toEqual([])
  })

  test('the arrow keys walk through tabs and nodes', async () => {
    await using opened = await open('detector.onnx')
    const { page } = opened
    await page.getByRole('listbox', { name: 'Nodes' }).focus()
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('ArrowDown')
    expect(await page.locator('.row[aria-selected=true]').getAttribute('aria-posinset')).toBe('2')
    await page.getByRole('tab', { name: 'Graph' }).focus()
    await page.keyboard.press('ArrowRight')
    expect(await page.getByRole('tab', { name: 'Engines' }).getAttribute('aria-selected')).toBe('true')
  })

  test('hostile names stay text', async () => {
    await using opened = await open('hostile.onnx')
    const { page } = opened
    await page.locator('.row').first().click()
    expect(await page.locator('.inspector .name').textContent()).toContain('<script>')
    await page.getByLabel('Model', { exact: true }).selectOption('<img src=x onerror=alert(1)>.onnx')
    await drawn(page, '<img src=x onerror=alert(1)>.onnx')
    expect(await page.locator('img, #app script').count()).toBe(0)
    expect(opened.faults).toEqual([])
  })

  test('a graph of 5,000 nodes has few elements, all of it in the drawing', async () => {
    await using opened = await open('long.onnx')
    const { page } = opened
    await page.getByText('5000 of 5000 nodes').waitFor()
    expect(await page.locator('*').count()).toBeLessThan(600)
    await page.getByRole('listbox', { name: 'Nodes' }).focus()
    await page.keyboard.press('End')
    expect(await page.locator('.row[aria-selected=true]').getAttribute('aria-posinset')).toBe('5000')
    expect(opened.faults).toEqual([])
  })
})

const measuredNote = /^\d+ % of [\d.]+ ms are of nodes in this graph$/

/** Chooses the first engine of the model, and a colouring. */
async function colourBy(page: Page, colouring: string): Promise<void> {
  await page.getByLabel('Engine', { exact: true }).selectOption({ index: 1 })
  await page.getByLabel('Colour by').selectOption(colouring)
}

/** The panel has the share of the selected node, and the drawing its colour in the legend. */
async function expectShare(page: Page, row: string): Promise<void> {
  const panel = (await page.locator('.inspector').textContent()) ?? ''
  const share = Number(new RegExp(`In the engine.*${row}([\\d.]+) %`, 's').exec(panel)?.[1])
  const [label = ''] = shareSteps.find(([, least]) => share >= least) ?? []
  const entry = page.locator('.legend li', { hasText: label }).locator('.swatch')
  const style = await entry.getAttribute('class')
  await expect.poll(() => drawnPixels(page, style?.match(/hue-\d+/)?.[0] ?? '')).toBeGreaterThan(0)
}

const shareSteps = [
  ['over 15 %', 15],
  ['5 to 15 %', 5],
  ['1 to 5 %', 1],
  ['under 1 %', 0],
] as const

/** How many pixels of the drawing have a colour of the style sheet. */
async function drawnPixels(page: Page, hue: string): Promise<number> {
  return page.evaluate<number>(`(() => {
    const canvas = document.querySelector('canvas')
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
    const wanted = Number('0x' + getComputedStyle(canvas).getPropertyValue('--${hue}').trim().slice(1))
    let count = 0
    for (let at = 0; at < data.length; at += 4)
      if (data[at] * 65536 + data[at + 1] * 256 + data[at + 2] === wanted) count++
    return count
  })()`)
}

/** Holds requests of this name, as a slow server does, until the function is called with their number. */
async function hold(page: Page, name: string): Promise<(request: number) => void> {
  const gates = new EventEmitter()
  let count = 0
  const isWanted = (url: URL) => url.pathname.endsWith(`api/${name}`)
  await page.route(isWanted, async (route) => {
    await once(gates, String(count++))
    await route.continue()
  })
  return (request) => void gates.emit(String(request))
}

/** Waits for the drawing of this model: right after a choice the page still shows that of the last one. */
async function drawn(page: Page, model: string): Promise<void> {
  await page.locator(`.drawing[aria-busy=false][data-model=${JSON.stringify(model)}]`).waitFor()
}

/** Names that would run, reorder or flood a page. */
const hostileNet = {
  inputs: { x: 'float32[1]' },
  outputs: { y: 'float32[1]' },
  nodes: [
    { op: 'Relu', name: '<script>alert(1)</script>\u202E\u001B[31m', inputs: ['x'], outputs: ['a'] },
    { op: 'Relu', name: 'n'.repeat(10_000_000), inputs: ['a'], outputs: ['y'] },
  ],
}

/** What axe finds that keeps people out. */
async function seriousFaults(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe)
  return page.evaluate<string[]>(`axe.run().then(({ violations }) => violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.map(({ target }) => id + ' ' + target)))`)
}

/**
 * Pictures of the docs are made where they are missing: delete one to renew it. Nothing in them has the mouse or the
 * focus.
 */
async function keepPicture(page: Page, name: string): Promise<void> {
  const file = join(root, 'docs/images', `${name}.png`)
  if (existsSync(file)) return
  await page.mouse.move(0, 0)
  await page.evaluate('document.activeElement.blur()')
  mkdirSync(join(root, 'docs/images'), { recursive: true })
  await page.screenshot({ path: file })
}

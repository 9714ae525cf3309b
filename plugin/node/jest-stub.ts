import { createHash } from 'node:crypto'
import { subscribe } from 'node:diagnostics_channel'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, utimesSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type ErrorRecord, OnnxEngineError, recordError, reviveError } from '../../runtime/errors.ts'
import type { ModelManifest } from '../../runtime/manifest.ts'
import { createModel } from '../../runtime/model.ts'
import type { Model } from '../../runtime/types.ts'
import { folderAt } from '../cache/folder.ts'
import { literal } from '../emit/module.ts'
import { defaultCacheDir } from '../options/types.ts'
import { compileSync } from './compile-sync.ts'
import { importOf, modelUrl } from './model-url.ts'
import { type CompiledModule, readStart } from './start-record.ts'

/** The place of an import in Jest. */
interface JestSite {
  /** Folder of the importing file. */
  readonly basedir: string
  readonly conditions?: readonly string[]
}

/**
 * The path of a CommonJS module that exports the model; undefined for imports of no model. Jest's own transforms see a
 * path without its query, and its modules cannot require ES modules, so a file of our own is between the two.
 */
export function jestStub(specifier: string, site: JestSite): string | undefined {
  try {
    const module = moduleOf(specifier, site)
    return module && writeStub(module.cacheDir, stubText(module))
  } catch (error) {
    if (!(error instanceof OnnxEngineError)) throw error
    // Of an error of a resolver Jest shows only that there is no module.
    return writeStub(join(process.cwd(), defaultCacheDir), errorText(error))
  }
}

function moduleOf(specifier: string, { basedir, conditions = [] }: JestSite): CompiledModule | undefined {
  const text = conditions.includes('import') ? withQuery(specifier, basedir) : specifier
  const url = modelUrl(text, pathToFileURL(join(basedir, 'importer.js')).href, () => undefined)
  const item = url === undefined ? undefined : importOf(url)
  if (item === undefined) return undefined
  // The importing file is not known, only its folder.
  return readStart(process.cwd(), item.id) ?? compileSync({ ...item, specifier: item.id, importer: undefined })
}

/** Jest takes the query off an import of an ES module before it asks: the sources of the folder still have it. */
function withQuery(specifier: string, basedir: string): string {
  const quoted = new RegExp(`['"\`]${specifier.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}(\\?[^'"\`]*)?['"\`]`, 'g')
  const sources = readdirSync(basedir).filter((name) => /\.[cm]?[jt]sx?$/.test(name))
  const queries = new Set(
    sources.flatMap((name) => {
      const found = [...readFileSync(join(basedir, name), 'utf8').matchAll(quoted)]
      return found.map(([, query = '']) => query)
    }),
  )
  const [query = '', ...others] = queries
  if (others.length === 0) return specifier + query
  throw new OnnxEngineError('QUERY_INVALID', `import '${specifier}' in ${basedir}`, {
    expected: `one query in a folder, because Jest drops queries of ES modules`,
    received: [query, ...others].map((text) => `'${text}'`).join(' and '),
    hint: 'Set the precision of the model under `models` of unplugin-onnx.config, or let Jest transform to CommonJS',
  })
}

/** The path of a CommonJS module with an entry of this package, such as 'unplugin-onnx/testing'. */
export function jestEntry(name: string): string {
  return writeStub(
    join(process.cwd(), defaultCacheDir),
    `${requestText({ entry: name })}
${ownText}
const { mockModel } = request.namespace
module.exports = {
  ...request.namespace,
  ...(mockModel && { mockModel: (...given) => ownModel(mockModel(...given)) }),
  __esModule: true,
}
`,
  )
}

const channel = 'unplugin-onnx:jest'

// Jest cannot require ES modules, and replaces every way to Node's own require(). Channels are the same everywhere.
subscribe(channel, (message) => {
  const request = message as StubRequest
  if (request.record) request.error = reviveError(request.record)
  if (request.manifest) request.model = createModel(request.manifest)
  if (request.entry) request.namespace = createRequire(import.meta.url)(request.entry)
})

/** What a stub asks for, and the answer. */
interface StubRequest {
  readonly manifest?: ModelManifest
  readonly record?: ErrorRecord
  readonly entry?: string
  model?: Model
  error?: OnnxEngineError
  namespace?: unknown
}

function requestText(request: StubRequest): string {
  return `'use strict'
const request = ${literal(request)}
require('node:diagnostics_channel').channel('${channel}').publish(request)`
}

function errorText(error: OnnxEngineError): string {
  return `${requestText({ record: recordError(error, error.code) })}
throw request.error
`
}

function stubText({ manifest }: CompiledModule): string {
  return `${requestText({ manifest })}
${ownText}
module.exports = ownModel(request.model)
`
}

// Outputs in arrays of the test's own realm: Jest calls arrays of another one different.
const ownText = `const own = ({ dtype, dims, data }) => {
  const { buffer, byteOffset, length } = data
  const view = () => new globalThis[data.constructor.name](buffer, byteOffset, length)
  return { dtype, dims: [...dims], data: Array.isArray(data) ? [...data] : view() }
}
const ownAll = (outputs) => Object.fromEntries(Object.entries(outputs).map(([name, output]) => [name, own(output)]))
const ownModel = (real) => {
  const model = Object.create(real, {
    load: { value: async () => (await real.load(), model) },
    infer: { writable: true, configurable: true, value: async (...call) => ownAll(await real.infer(...call)) },
    inferSync: { configurable: true, get: () => real.inferSync && ((...call) => ownAll(real.inferSync(...call))) },
    default: { get: () => model },
  })
  return model
}`

function writeStub(cacheDir: string, text: string): string {
  const folder = folderAt(cacheDir).jest
  const file = join(folder, `${createHash('sha256').update(text).digest('hex').slice(0, 32)}.cjs`)
  if (wasMarked(file)) return file
  mkdirSync(folder, { recursive: true })
  // Whole or not at all: Jest has several processes.
  const draft = join(folder, `${process.pid}-${basename(file)}`)
  writeFileSync(draft, text)
  renameSync(draft, file)
  return file
}

/** Whether a stub is there. Its time is that of its last use: the cache removes those that no test used for long. */
function wasMarked(file: string): boolean {
  const now = new Date()
  try {
    utimesSync(file, now, now)
    return true
  } catch {
    return existsSync(file)
  }
}

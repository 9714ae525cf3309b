import { type ErrorDetails, OnnxEngineError } from '../../runtime/errors.ts'
import { nearest } from '../../runtime/nearest.ts'
import { byName, didYouMean, quoteText, shorten } from '../text.ts'
import type { Shapes } from './types.ts'

/** A parsed import: the path or specifier before '?', and the query after it. */
export interface ModelRequest {
  readonly file: string
  readonly query: Query
}

/**
 * A model as one import names it. Made once for each import; `text` is the canonical text, which bundlers and the cache
 * carry, and which `parseRequest` reads back as `request`.
 */
export interface ModelId {
  readonly request: ModelRequest
  readonly text: string
}

/** The wishes of one import. Keys that are absent are left to the options; names are checked by `compileOptions`. */
export type Query = { readonly [K in keyof typeof grammar]?: NonNullable<ReturnType<(typeof grammar)[K]>> }

/**
 * The filter of bundlers before they call `parseRequest`, for specifiers and resolved ids. It is also a valid Go
 * regular expression, as esbuild needs. Ids that belong to the bundler (`?url`) pass it; `parseRequest` rejects them.
 */
export const modelFilter: RegExp = modelFilterOf({})

/** The same where the option `convert` makes other files models. Its keys have letters, digits, '.', '-' and '_'. */
export function modelFilterOf(convert: Readonly<Record<string, unknown>>): RegExp {
  const endings = Object.keys(convert).map((key) => (key.startsWith('.') ? '' : '(?:^|[/\\\\])') + escaped(key))
  return new RegExp(`(?:${['\\.onnx', ...endings].join('|')})(?:\\?|$)`)
}

function escaped(key: string): string {
  return key.replaceAll('.', '\\.')
}

/** How the names of models end, for a quick look at a source text. */
export function modelEndings(convert: Readonly<Record<string, unknown>>): readonly string[] {
  return ['.onnx', ...Object.keys(convert)]
}

const grammar = {
  backend: words,
  engine: word,
  io: word,
  max: shapes,
  min: shapes,
  opt: shapes,
  outputs: names,
  shapes,
  target: words,
}

/** Every key that a query may have. */
export const queryKeys: readonly string[] = Object.keys(grammar)

// Vite adds these for cache busting and to mark imports of non-script files.
const toleratedKeys = new Set(['import', 't', 'v'])

// The bundler itself loads an id with one of these, or made the id for its own use.
const foreignKeys = new Set([
  'url',
  'raw',
  'inline',
  'no-inline',
  'worker',
  'sharedworker',
  'worker_file',
  'init',
  'direct',
  'html-proxy',
])

/** Finds such a key in the text of a query. */
export const foreignQuery: RegExp = new RegExp(`[?&](?:${[...foreignKeys].join('|')})(?:[=&]|$)`)

const foreignIds = /^(?:\0|virtual:|data:|(?!file:)[a-z][a-z\d+.-]+:\/\/)/i

/**
 * Reads an import such as `./pose.onnx?engine=fp16&shapes=image:1x3x224x224`. Returns undefined for ids that are not a
 * model or belong to the bundler (`?url`, `?raw`, `\0...`, `https://...`). Throws QUERY_INVALID for an unknown key,
 * malformed text, a key given twice with different values, `min`, `opt` and `max` that are not all there, or `shapes`
 * together with them.
 *
 * @param filter that of the option `convert`, see `modelFilterOf`
 */
export function parseRequest(id: string, filter: RegExp = modelFilter): ModelRequest | undefined {
  const mark = id.includes('?') ? id.indexOf('?') : id.length
  const file = id.slice(0, mark)
  if (!filter.test(file) || foreignIds.test(id)) return undefined
  const pairs = id
    .slice(mark + 1)
    .split('&')
    .filter(Boolean)
    .map(splitPair)
  if (pairs.some(([key]) => foreignKeys.has(key))) return undefined

  const invalid = (key: string, details: ErrorDetails) =>
    new OnnxEngineError('QUERY_INVALID', `import ${quoteText(id)}: ${shorten(key)}`, details)
  const texts = new Map<GrammarKey, string>()
  for (const [key, text] of pairs) {
    if (toleratedKeys.has(key)) continue
    if (!isGrammarKey(key))
      throw invalid(key, {
        expected: `one of ${queryKeys.join(', ')}`,
        received: 'an unknown key',
        hint: didYouMean(nearest(key, queryKeys)),
      })
    const before = texts.get(key)
    if (before !== undefined && before !== text)
      throw invalid(key, { expected: 'one value', received: `${quoteText(before)} and ${quoteText(text)}` })
    texts.set(key, text)
  }
  const bounds = ['min', 'opt', 'max'].filter((key) => texts.has(key as GrammarKey))
  if (bounds.length % 3 > 0)
    throw invalid('min, opt, max', { expected: 'all three of them', received: bounds.join(' and ') })
  if (bounds.length > 0 && texts.has('shapes')) {
    throw invalid('shapes', { expected: 'either fixed shapes or min, opt and max', received: 'both' })
  }
  const query = Object.fromEntries(
    [...texts].map(([key, text]) => [
      key,
      grammar[key](text, (expected, received) => invalid(key, { expected, received })),
    ]),
  )
  return { file, query }
}

/**
 * Names a model in its canonical form: two spellings of one request (order of keys, of targets, of inputs; `?engine`
 * and no query) give equal ids.
 */
export function modelId({ file, query }: ModelRequest): ModelId {
  const canonical = canonicalQuery(query)
  const { engine, io, backend, target, outputs } = canonical
  const pairs = [
    backend && `backend=${backend.join(',')}`,
    engine && `engine=${engine}`,
    io && `io=${io}`,
    outputs && `outputs=${outputs.map(encodeName).join(',')}`,
    ...shapeKeys.map((key) => canonical[key] && `${key}=${shapesText(canonical[key])}`),
    target && `target=${target.join(',')}`,
  ].filter(Boolean)
  const text = pairs.length > 0 ? `${file}?${pairs.join('&')}` : file
  return { request: { file, query: canonical }, text }
}

/** The query in the text of an id, with its '?'; '' for an id without a query. */
export function queryText({ request, text }: ModelId): string {
  return text.slice(request.file.length)
}

const shapeKeys = ['max', 'min', 'opt', 'shapes'] as const

function canonicalQuery(query: Query): Query {
  const shapes = shapeKeys.map((key) => [key, query[key] && sortedByName(query[key])])
  const entries = Object.entries({
    ...query,
    target: query.target && [...query.target].sort(),
    outputs: query.outputs && [...query.outputs].sort(),
    ...Object.fromEntries(shapes),
  })
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
}

function sortedByName(shapes: Shapes): Shapes {
  const names = Object.keys(shapes).sort()
  return byName(names.map((name) => [name, shapes[name] ?? []]))
}

type GrammarKey = keyof typeof grammar

type Refuse = (expected: string, received: string) => OnnxEngineError

function isGrammarKey(key: string): key is GrammarKey {
  return Object.hasOwn(grammar, key)
}

function word(text: string): string | undefined {
  return text || undefined
}

function words(text: string, refuse: Refuse): readonly string[] {
  const names = text.split(',')
  if (names.includes('')) throw refuse('names separated by commas', quoteText(text))
  return names
}

function names(text: string, refuse: Refuse): readonly string[] {
  return words(text, refuse).map((name) => decodeName(name, refuse))
}

function shapes(text: string, refuse: Refuse): Shapes {
  const entries = text.split(',').map((entry): [string, number[]] => {
    const colon = entry.lastIndexOf(':')
    const dims = entry.slice(colon + 1)
    if (colon < 1 || !/^\d+(?:x\d+)*$/.test(dims))
      throw refuse(`'name:1x3x224x224' for each input, separated by commas`, quoteText(entry))
    return [decodeName(entry.slice(0, colon), refuse), dims.split('x').map(Number)]
  })
  const seen = new Set<string>()
  const twice = entries.map(([name]) => name).find((name) => seen.size === seen.add(name).size)
  if (twice !== undefined) throw refuse('each input once', `${quoteText(twice)} twice`)
  return byName(entries)
}

function decodeName(text: string, refuse: Refuse): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw refuse(`a percent-encoded name ('%' itself is '%25')`, quoteText(text))
  }
}

function shapesText(shapes: Shapes): string {
  return Object.entries(shapes)
    .map(([name, dims]) => `${encodeName(name)}:${dims.join('x')}`)
    .join(',')
}

/**
 * A name as a query writes it. Not encodeURIComponent: it throws on lone surrogates and makes readable names such as
 * 'images/0' unreadable.
 */
export function encodeName(name: string): string {
  return name.replace(
    /[\0- "#%&'+,:;<>?\\`!\x7f]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  )
}

function splitPair(pair: string): [string, string] {
  const equals = pair.indexOf('=')
  return equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]
}

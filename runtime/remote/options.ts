import { checkOptions, type Rule } from '../check-options.ts'
import { OnnxEngineError } from '../errors.ts'
import type { Bindings } from '../manifest.ts'
import type { ServerOptions } from '../server-options.ts'
import { modelSubject, quote } from '../text.ts'
import type { Target } from './transport.ts'

const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''
const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isPositive = (value: unknown): boolean => typeof value === 'number' && value > 0 && value < 2 ** 31
const isPem = (value: unknown): boolean => isText(value) || value instanceof Uint8Array

const rules: Readonly<Record<keyof ServerOptions, Rule>> = {
  url: { expected: 'a URL or a list of them', accepts: (value) => isText(value) || isUrlList(value) },
  model: { expected: 'the name of a model', accepts: isText },
  version: { expected: 'a version as text', accepts: isText },
  bindings: { expected: 'a model or its bindings', accepts: (value) => bindingsIn(value) !== undefined },
  headers: {
    expected: 'headers or a function that gives them',
    accepts: (value) => typeof value === 'function' || isHeaders(value),
  },
  tls: { expected: 'an object with ca, cert, key or serverName', accepts: isObject },
  timeouts: { expected: 'an object with connect or infer', accepts: isObject },
  retries: { expected: 'a whole number from 0', accepts: (value) => Number.isSafeInteger(value) && Number(value) >= 0 },
  maxResponseBytes: { expected: 'a number of bytes below 2 GiB', accepts: isPositive },
}

const milliseconds: Rule = { expected: 'milliseconds, more than 0', accepts: isPositive }
const pemText: Rule = { expected: 'PEM text', accepts: isPem }
const tlsRules = { ca: pemText, cert: pemText, key: pemText, serverName: { expected: 'a host name', accepts: isText } }

const schemes = new Set(['grpc:', 'grpcs:', 'http:', 'https:'])

/** The servers of these options. Throws OPTION_INVALID. */
export function targetsOf(given: ServerOptions): readonly Target[] {
  const head = 'connectServer(), option'
  const options = checkOptions(head, given, rules)
  if (options.url === undefined) throw invalid(head, 'url', 'a URL', 'nothing')
  if (options.model === undefined) throw invalid(head, 'model', 'the name of a model', 'nothing')
  const tls = checkOptions(`${head} "tls":`, options.tls ?? {}, tlsRules)
  const timeouts = checkOptions(`${head} "timeouts":`, options.timeouts ?? {}, {
    connect: milliseconds,
    infer: milliseconds,
  })
  const { model, version, headers = {} } = options
  const urls = typeof options.url === 'string' ? [options.url] : options.url
  return urls.map((text) => {
    const url = urlOf(head, text)
    return {
      subject: `${modelSubject(model)} on ${url.protocol}//${url.host}`,
      url,
      model,
      version,
      headers: async () => (typeof headers === 'function' ? headers() : headers),
      tls,
      connectTimeout: timeouts.connect ?? 5000,
      inferTimeout: timeouts.infer ?? 60_000,
      maxResponseBytes: options.maxResponseBytes ?? 2 ** 30,
    }
  })
}

/** The bindings of the option `bindings`, whichever form it has. */
export function bindingsIn(value: unknown): Bindings | undefined {
  if (!isObject(value)) return undefined
  const inner = 'bindings' in value && isObject(value.bindings) ? value.bindings : value
  return 'inputs' in inner && 'outputs' in inner ? (inner as Bindings) : undefined
}

function urlOf(head: string, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  // The text itself is left out of the message: it may hold a password.
  if (!url || !schemes.has(url.protocol) || url.host === '')
    throw invalid(
      head,
      'url',
      'grpc://, grpcs://, http:// or https:// and a host',
      url ? quote(url.protocol) : 'no URL',
    )
  if (url.username !== '' || url.password !== '')
    throw invalid(
      head,
      'url',
      'a URL without a user name, with credentials in the option headers',
      'one with a user name',
    )
  if (url.protocol.startsWith('grpc') && url.pathname.replace('/', '') !== '')
    throw invalid(head, 'url', 'a gRPC address without a path', quote(url.pathname))
  return url
}

function invalid(head: string, option: string, expected: string, received: string): OnnxEngineError {
  return new OnnxEngineError('OPTION_INVALID', `${head} ${quote(option)}`, { expected, received })
}

function isUrlList(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(isText)
}

function isHeaders(value: unknown): boolean {
  return isObject(value) && Object.values(value).every((item) => typeof item === 'string')
}

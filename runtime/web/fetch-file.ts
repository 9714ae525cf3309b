import { OnnxEngineError, textOf } from '../errors.ts'
import { type ShippedFile, urlOf } from './library.ts'

/** Why a file did not arrive as it was shipped. */
export interface Trouble {
  readonly received: string
  readonly hint: string
  /** Whether another attempt may help. */
  readonly again?: true
}

const attempts = 3

const pauseMs = 300

/**
 * The bytes of a file, verified against the size and SHA-256 that it was shipped with. A download that was cut or that
 * brought other bytes is tried again, past the browser's cache. Throws ARTIFACT_INVALID with URL and status.
 */
export async function fetchFile(
  file: ShippedFile,
  subject: string,
  onBytes: (received: number) => void,
): Promise<ArrayBuffer> {
  const url = urlOf(file)
  const bytes = memoryFor(file, `${subject}: ${url}`)
  for (let attempt = 1; ; attempt++) {
    const result = await fetchInto(bytes, file, attempt > 1, onBytes)
    if (result === undefined) return bytes.buffer
    if (!result.again || attempt === attempts)
      throw new OnnxEngineError('ARTIFACT_INVALID', `${subject}: ${url}`, {
        expected: `${file.size} bytes with SHA-256 ${file.sha256}`,
        received: result.again ? `${result.received}, ${attempts} times` : result.received,
        hint: `${result.hint} load() can be called again.`,
      })
    await new Promise((done) => setTimeout(done, pauseMs * attempt))
  }
}

/** What is wrong with a script that could not be loaded. */
export async function scriptTrouble(file: ShippedFile, message: string): Promise<Trouble> {
  try {
    const response = await fetchPast(urlOf(file), 'reload')
    await response.body?.cancel()
    const type = response.headers.get('content-type') ?? 'none'
    return (
      responseTrouble(response) ?? {
        received: `status ${response.status}, content type ${type}, and the browser's error: ${message}`,
        hint: 'Serve it as text/javascript, and allow it in the Content-Security-Policy (script-src, worker-src).',
      }
    )
  } catch (error) {
    return networkTrouble(error)
  }
}

function memoryFor({ size }: ShippedFile, subject: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(size)
  } catch (cause) {
    throw new OnnxEngineError('BACKEND_UNAVAILABLE', subject, {
      expected: `${size} bytes of memory`,
      received: textOf(cause),
      hint: 'The tab has no memory left: dispose of models that are not needed, or import a lower precision.',
      cause,
    })
  }
}

/** Fills the bytes with the file; gives what went wrong. */
async function fetchInto(
  bytes: Uint8Array<ArrayBuffer>,
  file: ShippedFile,
  isAgain: boolean,
  onBytes: (received: number) => void,
): Promise<Trouble | undefined> {
  let received = 0
  onBytes(0)
  try {
    const response = await fetchPast(urlOf(file), isAgain ? 'reload' : 'default')
    const trouble = responseTrouble(response)
    if (trouble) return trouble
    for await (const chunk of chunksOf(response)) {
      if (received + chunk.length > file.size) return otherFile(`more than ${file.size} bytes`, response)
      bytes.set(chunk, received)
      received += chunk.length
      onBytes(received)
    }
    if (received < file.size) return { ...otherFile(`${received} bytes`, response), again: true }
  } catch (error) {
    const trouble = networkTrouble(error)
    return received > 0 ? { ...trouble, received: `${trouble.received}, after ${received} bytes` } : trouble
  }
  const sha256 = await digest(bytes)
  if (sha256 === undefined || sha256 === file.sha256) return undefined
  return { received: `SHA-256 ${sha256}`, hint: staleHint, again: true }
}

// The fetch of Node.js, whose types these are, has no cache.
function fetchPast(url: string, cache: 'default' | 'reload'): Promise<Response> {
  return fetch(url, { cache } as RequestInit)
}

async function* chunksOf({ body }: Response): AsyncGenerator<Uint8Array> {
  const reader = body?.getReader()
  for (;;) {
    const next = await reader?.read()
    if (next === undefined || next.done) return
    yield next.value
  }
}

function responseTrouble({ ok, status, headers, redirected }: Response): Trouble | undefined {
  const type = headers.get('content-type') ?? ''
  if (!ok) {
    const received = `status ${status}`
    const hint = 'Deploy all files of the output folder together, and keep those of the last release for open pages.'
    return status >= 500 || status === 429 ? { received, hint, again: true } : { received, hint }
  }
  if (!/^text\/html\b/.test(type)) return undefined
  return {
    received: `status ${status}, an HTML page${redirected ? ' after a redirect' : ''}`,
    hint:
      'The server answers unknown paths with a page: deploy all files of the output folder, and let paths of files ' +
      'that are not there be 404.',
  }
}

const staleHint = 'A proxy or an old service worker gives another file: deploy the output again as a whole.'

function otherFile(received: string, { status }: Response): Trouble {
  return { received: `status ${status} with ${received}`, hint: staleHint }
}

function networkTrouble(error: unknown): Trouble {
  return {
    received: `no answer (${textOf(error)})`,
    hint: 'Check the connection, and the CORS headers if the file is on another origin; pages of file: cannot fetch.',
    again: true,
  }
}

let hasWarned = false

/** Undefined where the page cannot compute one. */
async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<string | undefined> {
  const { subtle } = globalThis.crypto as { readonly subtle?: typeof globalThis.crypto.subtle }
  if (subtle) {
    const hash = new Uint8Array(await subtle.digest('SHA-256', bytes))
    return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('')
  }
  if (!hasWarned)
    console.warn('unplugin-onnx: only the sizes of engines are verified, because a page without https has no SHA-256')
  hasWarned = true
  return undefined
}

import { onAbort } from '../abort.ts'
import { OnnxEngineError, textOf } from '../errors.ts'
import { fetchFile, scriptTrouble } from './fetch-file.ts'
import { type ShippedFile, urlOf, type WebLibrary } from './library.ts'
import { page, type PageWorker } from './page.ts'
import type { WebReply, WebRequest } from './protocol.ts'

/** The worker that runs all models of a page. It starts with the first one. */
export interface EngineWorker {
  /** The worker, started if there is none. `onBytes` receives how much of its WebAssembly has arrived. */
  start(onBytes: (received: number) => void): Promise<RunningWorker>
  /** Whether the next start needs no download. */
  readonly isStarted: boolean
  readonly library: WebLibrary
}

/** One worker while it lives. */
export interface RunningWorker {
  readonly ended: boolean
  send(request: RequestBody, transfer: readonly ArrayBuffer[], signal?: AbortSignal): Promise<WebReply>
  /** Ends the worker: calls in flight are rejected with this error. */
  end(error: OnnxEngineError): void
}

export type RequestBody = WithoutId<WebRequest>
type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never

const workers = new Map<string, EngineWorker>()

/** The worker of a library: one for a page, however many models and copies of this module it has. */
export function engineWorkerOf(library: WebLibrary): EngineWorker {
  const url = urlOf(library.wasm)
  const known = workers.get(url) ?? createEngineWorker(library)
  workers.set(url, known)
  return known
}

function createEngineWorker(library: WebLibrary): EngineWorker {
  const listeners = new Set<(received: number) => void>()
  let starting: Promise<RunningWorker> | undefined
  let running: RunningWorker | undefined
  let isHidden = false
  // A page that is left keeps nothing alive; when it is shown again, the next call starts a new worker.
  page.addEventListener('pagehide', () => {
    isHidden = true
    running?.end(pageHidden())
  })
  page.addEventListener('pageshow', () => {
    isHidden = false
  })

  return {
    library,
    get isStarted() {
      return running?.ended === false
    },
    async start(onBytes) {
      if (isHidden) throw pageHidden()
      if (running?.ended) {
        starting = undefined
        running = undefined
      }
      listeners.add(onBytes)
      starting ??= startWorker(library, (received) => listeners.forEach((listener) => listener(received)))
      const current = starting
      try {
        running = await current
        return running
      } catch (error) {
        // Another caller may have started anew meanwhile.
        if (starting === current) starting = undefined
        throw error
      } finally {
        listeners.delete(onBytes)
      }
    },
  }
}

async function startWorker(library: WebLibrary, onBytes: (received: number) => void): Promise<RunningWorker> {
  const { crossOriginIsolated: isIsolated = false, Worker } = page
  if (!Worker) throw noWorker('this place has no workers')
  if (!isIsolated && library.threads !== 1) tellOfIsolation()
  const worker = runningWorker(await openWorker(Worker, library.worker), library)
  try {
    const wasm = await fetchFile(library.wasm, 'the library of unplugin-onnx', onBytes)
    const start = {
      library: urlOf(library.library),
      loader: urlOf(library.loader),
      wasm,
      threads: isIsolated ? library.threads : 1,
    }
    const { error } = await worker.send({ kind: 'start', start }, [wasm])
    if (error) throw await codeError([library.library, library.loader], error.message)
    return worker
  } catch (error) {
    worker.end(noWorker('it did not start'))
    throw error
  }
}

type WorkerClass = NonNullable<typeof page.Worker>

async function openWorker(Worker: WorkerClass, file: ShippedFile): Promise<PageWorker> {
  try {
    return new Worker(startUrl(urlOf(file)), { type: 'module', name: 'unplugin-onnx' })
  } catch (error) {
    throw await codeError([file], textOf(error))
  }
}

// Browsers start no worker of another origin, such as a CDN, but a script of this one may import it.
function startUrl(url: string): string {
  const { origin, protocol } = new URL(url, page.location.href)
  if (origin === page.location.origin || protocol === 'file:') return url
  return URL.createObjectURL(new Blob([`import ${JSON.stringify(url)}`], { type: 'text/javascript' }))
}

interface Call {
  resolve(reply: WebReply): void
  reject(error: unknown): void
}

function runningWorker(worker: PageWorker, library: WebLibrary): RunningWorker {
  const calls = new Map<number, Call>()
  let lastId = 0
  let hasAnswered = false
  let ended: OnnxEngineError | undefined

  worker.addEventListener('message', ({ data }) => {
    const reply = data as WebReply
    hasAnswered = true
    calls.get(reply.id)?.resolve(reply)
    calls.delete(reply.id)
  })
  worker.addEventListener('error', ({ message = 'no message' }) => {
    if (hasAnswered) end(crashed(message))
    else void codeError([library.worker], message).then(end)
  })
  worker.addEventListener('messageerror', () => end(crashed('a message could not be read')))

  return {
    get ended() {
      return ended !== undefined
    },
    send(request, transfer, signal) {
      if (ended) return Promise.reject(ended)
      const id = ++lastId
      const cancel = () => worker.postMessage({ id, kind: 'cancel' } satisfies WebRequest, [])
      const stopListening = signal && onAbort(signal, cancel)
      return new Promise<WebReply>((resolve, reject) => {
        worker.postMessage({ ...request, id }, transfer)
        calls.set(id, { resolve, reject })
      }).finally(stopListening)
    },
    end,
  }

  function end(error: OnnxEngineError): void {
    if (ended) return
    ended = error
    worker.terminate()
    for (const { reject } of calls.values()) reject(error)
    calls.clear()
  }
}

let hasTold = false

function tellOfIsolation(): void {
  if (hasTold) return
  hasTold = true
  console.warn(
    'unplugin-onnx: models run in one thread. For more, send two headers with every page and script: ' +
      'Cross-Origin-Opener-Policy: same-origin, and Cross-Origin-Embedder-Policy: require-corp',
  )
}

async function codeError(files: readonly ShippedFile[], message: string): Promise<OnnxEngineError> {
  const troubles = await Promise.all(files.map(async (file) => ({ file, ...(await scriptTrouble(file, message)) })))
  // One that the server does not give explains more than one that the browser does not run.
  const { file, received, hint } = troubles.find((trouble) => !trouble.received.startsWith('status 200, content')) ??
    troubles[0] ?? { file: undefined, received: message, hint: '' }
  return new OnnxEngineError('ARTIFACT_INVALID', `the library of unplugin-onnx: ${file ? urlOf(file) : ''}`, {
    expected: 'a script of the build',
    received,
    hint: `${hint} load() can be called again.`,
  })
}

function noWorker(received: string): OnnxEngineError {
  return new OnnxEngineError('BACKEND_UNAVAILABLE', 'the worker that runs models', { expected: 'a worker', received })
}

function crashed(received: string): OnnxEngineError {
  return new OnnxEngineError('WORKER_CRASHED', 'the worker that runs models', {
    expected: 'a worker that goes on',
    received,
    hint: 'The next call starts a new one.',
  })
}

function pageHidden(): OnnxEngineError {
  return new OnnxEngineError('WORKER_CRASHED', 'the worker that runs models', {
    expected: 'a page that is shown',
    received: 'one that was left (pagehide)',
    hint: 'Call load() or infer() again when the event pageshow tells that the page is back.',
  })
}

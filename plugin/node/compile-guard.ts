import { Worker, workerData } from 'node:worker_threads'
import { recordError, textOf } from '../../runtime/errors.ts'
import { type ThreadData, type ThreadReply, threadEnded } from './compile-sync.ts'
import type { NodeImport } from './model-url.ts'

// A thread between one that waits and one that compiles for it. The waiting thread sees no events, and a thread that
// runs out of memory says nothing: this one sees it end, and answers instead.

const { port, signal } = workerData as ThreadData

let worker: Worker | undefined
let compiling: NodeImport | undefined

setInterval(() => Atomics.add(signal, 1, 1), 500).unref()

port.on('message', (item: NodeImport) => {
  compiling = item
  worker ??= startThread()
  worker.postMessage(item, [])
})

function startThread(): Worker {
  const started = new Worker(new URL('./compile-thread.js', import.meta.url))
  let failure: unknown
  started.on('message', answer)
  started.on('error', (error) => {
    failure = error
  })
  started.on('exit', (code) => {
    worker = undefined
    if (compiling === undefined) return
    const reason = failure === undefined ? `exit code ${code}` : textOf(failure)
    answer({ error: recordError(threadEnded(compiling.id, reason), 'COMPILE_FAILED') })
  })
  return started
}

function answer(reply: ThreadReply): void {
  compiling = undefined
  port.postMessage(reply)
  Atomics.store(signal, 0, 1)
  Atomics.notify(signal, 0)
}

import { rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { recordError } from '../../runtime/errors.ts'
import type { ChildJob, ChildReply, ChildRequest, ChildTask } from './contract.ts'

// As in the worker of the runtime: the models of this app stay private.
process.env['ORT_DISABLE_TELEMETRY'] ??= '1'

/** Entry of the child process: one request, one result. */
process.once('message', (request: ChildRequest) => void answer(request))

// A terminal sends these to the whole process group. The parent decides whether the build goes on: when it ends, so
// does this process.
for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})

async function answer({ worker, job }: ChildRequest): Promise<void> {
  const abandon = () => abandonJob(job)
  process.once('disconnect', abandon)
  try {
    const { run } = (await import(worker)) as { run: ChildTask }
    await run(job, (severity, text) => send({ type: 'log', severity, text }))
    send({ type: 'done' })
  } catch (error) {
    send({ type: 'failed', error: recordError(error, 'COMPILE_FAILED') })
  }
  process.off('disconnect', abandon)
  process.once('disconnect', () => process.exit())
  process.disconnect()
}

// The parent is gone: nobody waits for the result, and nobody else removes the unfinished file. Not process.exit(),
// which would run the destructors of a library while its threads are still working.
function abandonJob({ output }: ChildJob): void {
  try {
    rmSync(dirname(output), { recursive: true, force: true })
  } finally {
    process.kill(process.pid, 'SIGKILL')
  }
}

function send(reply: ChildReply): void {
  process.send?.(reply)
}

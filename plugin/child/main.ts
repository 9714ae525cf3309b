import { rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { recordError } from '../../runtime/errors.ts'
import type { ChildRequest, CompileInChild, ChildReply } from './contract.ts'

// As in the worker of the runtime: models that are compiled here are nobody else's business.
process.env['ORT_DISABLE_TELEMETRY'] ??= '1'

/** Entry of the compiler's child process: one job, one answer. */
process.once('message', ({ worker, job }: ChildRequest) => void run(worker, job))

// A terminal tells these to the whole process group. It is for the parent to decide what becomes of a build: when it
// ends, so does this.
for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})

async function run(worker: string, job: ChildRequest['job']): Promise<void> {
  const abandon = () => abandonJob(job)
  process.once('disconnect', abandon)
  try {
    const { compile } = (await import(worker)) as { compile: CompileInChild }
    await compile(job, (severity, text) => answer({ type: 'log', severity, text }))
    answer({ type: 'done' })
  } catch (error) {
    answer({ type: 'failed', error: recordError(error, 'COMPILE_FAILED') })
  }
  process.off('disconnect', abandon)
  process.once('disconnect', () => process.exit())
  process.disconnect()
}

// The parent is gone: nobody waits for the engine, and nobody else removes what there is of it. Not process.exit(),
// which would run the destructors of a library while its threads are at work.
function abandonJob({ output }: ChildRequest['job']): void {
  try {
    rmSync(dirname(output), { recursive: true, force: true })
  } finally {
    process.kill(process.pid, 'SIGKILL')
  }
}

function answer(reply: ChildReply): void {
  process.send?.(reply)
}

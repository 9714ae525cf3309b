import { recordError } from '../../runtime/errors.ts'
import type { ChildReply, ChildRequest } from './child.ts'
import type { CompileInChild } from './contract.ts'

// As in the worker of the runtime: models that are compiled here are nobody else's business.
process.env['ORT_DISABLE_TELEMETRY'] ??= '1'

/** Entry of the compiler's child process: one job, one answer. */
process.once('message', ({ worker, job }: ChildRequest) => void run(worker, job))

// The parent is gone: nobody waits for the engine any more.
process.once('disconnect', () => process.exit(1))

async function run(worker: string, job: ChildRequest['job']): Promise<void> {
  try {
    const { compile } = (await import(worker)) as { compile: CompileInChild }
    await compile(job, (severity, text) => answer({ type: 'log', severity, text }))
    answer({ type: 'done' })
  } catch (error) {
    answer({ type: 'failed', error: recordError(error, 'COMPILE_FAILED') })
  }
  process.disconnect()
}

function answer(reply: ChildReply): void {
  process.send?.(reply)
}

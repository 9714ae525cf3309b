import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type ErrorRecord, recordError, reviveError, textOf } from '../../runtime/errors.ts'
import { printable } from '../../runtime/printable.ts'

/** A process that measures one thing: it waits while others are measured. */
export interface MeasuredProcess {
  /** Sends a request and waits for its answer. Rejects with the error of the process, or when it ends. */
  ask<Answer>(request: unknown): Promise<Answer>
  close(): void
}

/** What a measured process answers. */
export type MeasuredReply = { readonly value: unknown } | { readonly error: ErrorRecord }

/** How a measured process is started. */
export interface MeasuredOptions {
  readonly args?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
}

/**
 * Starts a script that calls `answerRequests`. It ends when this process closes it or is gone.
 *
 * Processes of their own, because the idle threads of ONNX Runtime and OpenVINO spin and slow other sessions down.
 */
export function startMeasured(script: URL, { args = [], env = process.env }: MeasuredOptions = {}): MeasuredProcess {
  const child = fork(fileURLToPath(script), [...args], {
    env,
    execArgv: [],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  const printed = keepLastLines(child)
  let ended: string | undefined
  child.once('error', (error) => (ended = textOf(error)))
  child.once('exit', (code, signal) => (ended ??= signal ? `was killed by ${signal}` : `exited with code ${code}`))
  return {
    async ask<Answer>(request: unknown): Promise<Answer> {
      const reply = await new Promise<MeasuredReply>((resolve, reject) => {
        const fail = () =>
          reject(new Error([`the process that measures ${ended}`, printed()].filter(Boolean).join(': ')))
        if (ended !== undefined) return fail()
        // 'close' comes after the last output, which names the reason of a crash.
        child.once('close', fail)
        child.once('message', (message: MeasuredReply) => {
          child.off('close', fail)
          resolve(message)
        })
        child.send(request as object, () => {})
      })
      if ('error' in reply) throw reviveError(reply.error)
      return reply.value as Answer
    },
    close() {
      if (child.connected) child.disconnect()
    },
  }
}

/** The child's side: answers each request of the parent, one after the other, and ends when the parent is gone. */
export function answerRequests<Request>(answer: (request: Request) => Promise<unknown>): void {
  process.on('message', (request: Request) => {
    answer(request).then(
      (value) => process.send?.({ value } satisfies MeasuredReply),
      (error: unknown) => process.send?.({ error: recordError(error, 'INFERENCE_FAILED') } satisfies MeasuredReply),
    )
  })
  process.on('disconnect', () => process.exit())
}

const longestTail = 1000

function keepLastLines(child: ChildProcess): () => string {
  let text = ''
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (text = (text + chunk).slice(-longestTail)))
  return () => printable(text.trim())
}

// Native libraries can crash, block or leak, so all that they do at build time runs in child processes of this room:
// one task each, stopped by a signal, its crash an error. This file has the messages of both sides; run.ts is the
// parent, main.ts the child, slots.ts decides how many run at once.
import type { ErrorRecord } from '../../runtime/errors.ts'

/** What a task works on. */
export interface ChildJob {
  /** Display name of the model, for messages. */
  readonly name: string
  /** Path of the (lowered) ONNX file; its external data is in the same folder. */
  readonly model: string
  /**
   * Path for the result. It must be in a temporary folder of its own: when the parent dies, the child removes that
   * folder.
   */
  readonly output: string
  readonly settings: Readonly<Record<string, unknown>>
  /** Whether the task also logs lines of the severity 'info', which are many. */
  readonly verbose?: boolean
}

/** Receives what a task logs, by severity; a 'phase' names the current step. */
export type ChildLog = (severity: 'error' | 'warning' | 'info' | 'phase', text: string) => void

/** What a worker module exports as `run`: writes its result to `job.output` or throws OnnxEngineError. */
export type ChildTask = (job: ChildJob, log: ChildLog) => Promise<void>

/** What the parent sends, once. */
export interface ChildRequest {
  /** URL of the worker module. */
  readonly worker: string
  readonly job: ChildJob
}

/** What the child sends: any number of logs, then one of the others. */
export type ChildReply =
  | { readonly type: 'log'; readonly severity: Parameters<ChildLog>[0]; readonly text: string }
  | { readonly type: 'done' }
  | { readonly type: 'failed'; readonly error: ErrorRecord }

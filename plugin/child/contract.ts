import type { ErrorRecord } from '../../runtime/errors.ts'

/** What the child process is asked to do. */
export interface ChildJob {
  /** Display name of the model, for messages. */
  readonly name: string
  /** Path of the (lowered) ONNX file; external data lies beside it. */
  readonly model: string
  /**
   * Path to write the engine to, in a temporary folder: it is removed when the build is left behind by a parent that
   * has died.
   */
  readonly output: string
  readonly settings: Readonly<Record<string, unknown>>
  /** Whether lines of the severity 'info' are wanted, which are many. */
  readonly verbose?: boolean
}

/** The text that an engine library logs, by severity; a 'phase' is what it does now. */
export type ChildLog = (severity: 'error' | 'warning' | 'info' | 'phase', text: string) => void

/** What a worker module exports: writes the engine to `job.output` or throws OnnxEngineError (COMPILE_FAILED). */
export type CompileInChild = (job: ChildJob, log: ChildLog) => Promise<void>

/** What the parent sends, once. */
export interface ChildRequest {
  readonly worker: string
  readonly job: ChildJob
}

/** What the child answers: any number of logs, then one of the others. */
export type ChildReply =
  | { readonly type: 'log'; readonly severity: Parameters<ChildLog>[0]; readonly text: string }
  | { readonly type: 'done' }
  | { readonly type: 'failed'; readonly error: ErrorRecord }

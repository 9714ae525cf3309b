import type { BackendName, Precision } from '../../runtime/manifest.ts'
import type { Gain } from '../verify/gain.ts'
import type { EngineReport } from '../verify/report.ts'
import type { PrecisionSearch } from './search-pins.ts'

/**
 * What happened while a model was compiled, as data: for a summary, and for programs that read a build. A caller that
 * takes events gets no lines for them.
 */
export type BuildEvent = EngineEvent | PassedOverEvent | WarningEvent

/** What a page that follows a build hears while it runs, besides the events that are kept. */
export type LiveEvent = BuildEvent | StartedEvent | FailedEvent

/** A model begins to compile. */
export type StartedEvent = {
  readonly event: 'started'
  readonly model: string
  readonly file: string
  /** How long its last build took; null for the first one of this process. */
  readonly lastSeconds: number | null
}

/** A model could not be compiled. */
export type FailedEvent = {
  readonly event: 'failed'
  readonly model: string
  readonly file: string
  /** With what to do next. */
  readonly message: string
}

/** An engine is there. */
export type EngineEvent = {
  readonly event: 'engine'
  readonly model: string
  /** Absolute path of the .onnx file. */
  readonly file: string
  readonly engine: Precision
  readonly backend: BackendName
  readonly label: string
  readonly hit: boolean
  /** 'hit', 'miss: weights changed', ... */
  readonly reason: string
  readonly seconds: number
  readonly size: number
  readonly sha256: string
  readonly verified: boolean
  readonly report: EngineReport | null
  /** Times and sizes of int8 and fp32, where int8 was asked for and this machine can run it. */
  readonly gain?: Gain
  /** What was tried to find the nodes that stay in fp32, where the build searched. */
  readonly search?: PrecisionSearch
}

/** `'auto'` chose other backends. */
export type PassedOverEvent = {
  readonly event: 'passed-over'
  readonly model: string
  readonly file: string
  readonly reason: string
}

/** A library warned while it compiled. */
export type WarningEvent = {
  readonly event: 'warning'
  readonly model: string
  readonly backend: BackendName
  readonly text: string
}

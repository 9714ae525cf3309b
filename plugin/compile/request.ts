import type { Store } from '../cache/store.ts'
import type { ConvertRules } from '../convert/find-rule.ts'
import type { BuildTarget } from '../options/build-target.ts'
import type { CompileOptions } from '../options/schema.ts'
import type { BuildEvent } from './events.ts'
import type { StartProgress } from './progress.ts'

/** One model to compile, all options resolved. */
export interface CompileRequest {
  /** Absolute path of the .onnx file, or of one that a rule of `convert` is for. */
  readonly file: string
  /**
   * Canonical text of the import's query: in the cache's history, two imports of one file with different queries are
   * two imports.
   */
  readonly query: string
  readonly options: CompileOptions
  /** The option `convert`. */
  readonly convert: ConvertRules
  /** Folder of the app: installed libraries are searched from here. */
  readonly root: string
}

/** What a compilation needs from its caller. */
export interface CompileContext {
  readonly store: Store
  readonly log: (line: string) => void
  readonly warn: (line: string) => void
  /** Receives what happens as data, instead of `log` and `warn`. */
  readonly onEvent?: (event: BuildEvent) => void
  /** Shows that a long build is still running; without it, lines go to `log`. */
  readonly startProgress?: StartProgress
  /** Prints every line that the backends log. */
  readonly verbose?: boolean
  readonly signal?: AbortSignal
  /** Where the engines run. Default: Node.js. */
  readonly target?: BuildTarget
}

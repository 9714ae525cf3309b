import type { BackendName } from '../../runtime/manifest.ts'
import type { Store } from '../cache/store.ts'
import type { ModelId } from '../options/query.ts'
import type { ResolvedOptions } from '../options/schema.ts'
import type { ServerScheme } from '../options/served-variant.ts'
import type { Options } from '../options/types.ts'
import { type BuildReporter, openReporter } from './build-reporter.ts'
import { type CurrentOptions, openOptions } from './current-options.ts'
import type { Logger } from './logger.ts'
import { openOutputs, type Outputs } from './outputs.ts'
import { type TypedImports, typedImports } from './typed-imports.ts'

/** Everything that a project remembers between hooks. */
export interface ProjectState {
  readonly current: CurrentOptions
  readonly options: ResolvedOptions
  /** Opened by the first compilation. */
  store: Store | undefined
  /** Cancels the compilations of the current builds. */
  running: AbortController
  /** Builds in progress: one instance may serve several environments of Vite at once. */
  builds: number
  hasFailed: boolean
  /** That of the last compilation, for hooks that have none. */
  logger: Logger
  /** Ids that were handed to the bundler, by their text. */
  readonly ids: Map<string, ModelId>
  /** The last importer of each id, for messages. */
  readonly importers: Map<string, string>
  /** Models that were compiled, as absolute paths. */
  readonly files: Set<string>
  readonly backends: Set<BackendName | ServerScheme>
  readonly warned: Set<string>
  readonly types: TypedImports
  readonly outputs: Outputs
  readonly reporter: BuildReporter
}

export function openState(user: Options | undefined): ProjectState {
  const current = openOptions(user, () => {
    // The cache may be in another folder now.
    state.store = undefined
  })
  const state: ProjectState = {
    current,
    get options() {
      return current.options
    },
    store: undefined,
    running: new AbortController(),
    builds: 0,
    hasFailed: false,
    logger: console,
    ids: new Map(),
    importers: new Map(),
    files: new Set(),
    backends: new Set(),
    warned: new Set(),
    types: typedImports(() => state.options),
    outputs: openOutputs(() => state.options),
    reporter: openReporter(() => state.options),
  }
  return state
}

// A watcher prints a line once, not after each change.
export function warnOnce({ warned }: ProjectState, lines: readonly string[], logger: Logger): void {
  for (const line of lines) if (!warned.has(line)) logger.warn(line)
  for (const line of lines) warned.add(line)
}

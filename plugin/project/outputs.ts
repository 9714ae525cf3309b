import { OnnxEngineError } from '../../runtime/errors.ts'
import type { BackendName } from '../../runtime/manifest.ts'
import type { ResolvedOptions } from '../options/schema.ts'
import type { ServerScheme } from '../options/served-variant.ts'

/** The folders that a bundler writes to, which `standalone` makes able to run alone. */
export interface Outputs {
  /**
   * Adds a folder; undefined for an output that stays in memory. Throws OPTION_INVALID for such an output of a
   * `standalone` build.
   */
  add(folder: string | undefined): void
  /** Copies the runtime and what these backends need into each folder, once. Returns lines on what is still missing. */
  makeStandalone(backends: ReadonlySet<BackendName | ServerScheme>): Promise<readonly string[]>
}

/** `options` are read at each call: the root of the app may change before the first output. */
export function openOutputs(options: () => ResolvedOptions): Outputs {
  const folders = new Set<string>()
  // A watcher writes often, but the packages stay the same.
  const finished = new Set<string>()
  return {
    add(folder) {
      if (folder !== undefined) folders.add(folder)
      else if (options().standalone)
        throw new OnnxEngineError('OPTION_INVALID', `option 'standalone'`, {
          expected: 'a build that writes its output into a folder',
          received: 'one that keeps it in memory',
        })
    },
    async makeStandalone(backends) {
      const lines: string[] = []
      for (const folder of [...folders].filter((folder) => !finished.has(folder))) {
        const { copyRuntime } = await import('../emit/standalone.ts')
        lines.push(...(await copyRuntime(folder, options().root, backends)))
        finished.add(folder)
      }
      return lines
    },
  }
}

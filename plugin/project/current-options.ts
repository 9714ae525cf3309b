import { readConfig } from '../options/config-file.ts'
import { appOptions } from '../options/resolve.ts'
import type { ResolvedOptions } from '../options/schema.ts'
import type { Options } from '../options/types.ts'

/** The options of a plugin instance, which change with the bundler's root and with the file of the app. */
export interface CurrentOptions {
  readonly options: ResolvedOptions
  /** The file that they are from; undefined if the plugin received them. */
  readonly file: string | undefined
  /** Reads the options again, relative to the bundler's root, which some bundlers announce late. */
  moveTo(root: string): void
  /** Reads the file of the app again if it has changed, is new or was removed. */
  refresh(): void
}

/** `onChange` is called when other options apply. Throws OPTION_INVALID, now and later. */
export function openOptions(user: Options | undefined, onChange: () => void): CurrentOptions {
  let root = process.cwd()
  let current = appOptions(user, root)
  const read = (): void => {
    current = appOptions(user, root)
    onChange()
  }
  return {
    get options() {
      return current.options
    },
    get file() {
      return current.config?.file
    },
    moveTo(next) {
      root = next
      read()
    },
    refresh() {
      if (user === undefined && readConfig(root) !== current.config) read()
    },
  }
}

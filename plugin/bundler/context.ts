import type { NativeBuildContext } from 'unplugin'
import type { Logger } from '../project/project.ts'

export const runtime = 'unplugin-onnx/runtime'

/** What bundlers ask us about: models, and the runtime. Also a regular expression of Go and Rust. */
export const importFilter: RegExp = /\.onnx(?:\?|$)|^unplugin-onnx\/runtime$/

/**
 * What a hook's context hides of the bundler that runs it; undefined for Rollup, Rolldown and Vite, whose context is
 * the bundler's own.
 */
export function nativeContext(context: object): NativeBuildContext | undefined {
  return (context as { getNativeBuildContext?(): NativeBuildContext }).getNativeBuildContext?.()
}

/** The bundler's own log, as far as it hands it to the hook. */
export function bundlerLogger(context: object): Logger {
  const native = nativeContext(context)
  const rollup = context as { info?(line: string): void; warn?(line: string): void }
  if (native?.framework === 'webpack' || native?.framework === 'rspack') {
    const logger = native.compiler.getInfrastructureLogger('unplugin-onnx')
    return { log: (line) => logger.info(line), warn: (line) => logger.warn(line) }
  }
  const level = native?.framework === 'esbuild' ? native.build.initialOptions.logLevel : undefined
  const isQuiet = level === 'silent' || level === 'error' || level === 'warning'
  return {
    log: (line) => (rollup.info ? rollup.info(line) : isQuiet || console.warn(line)),
    warn: (line) => (rollup.warn ? rollup.warn(line) : console.warn(line)),
  }
}

/** The warning for an import whose model a bundler cannot know. */
export function lostQuery(text: string): string {
  return `${text} is not bundled, because its model is known only at run time. Import each model by its full name.`
}

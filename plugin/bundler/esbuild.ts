import { dirname, resolve } from 'node:path'
import type { PluginBuild } from 'esbuild'
import { OnnxEngineError } from '../../runtime/errors.ts'

/**
 * Stops a build of esbuild with `publicPath` and an engine that is used in a folder below the output's: the loader then
 * gives only the public path, from which no code below can tell where the engine lies.
 */
export function checkPublicPath(build: PluginBuild, outdir: string): void {
  const { absWorkingDir = process.cwd(), publicPath } = build.initialOptions
  if (!publicPath) return
  build.initialOptions.metafile = true
  build.onEnd(({ metafile }) => {
    const outputs = Object.entries(metafile?.outputs ?? {}).filter(
      ([file]) => dirname(resolve(absWorkingDir, file)) !== outdir,
    )
    const misplaced = outputs.filter(([, { inputs }]) =>
      Object.keys(inputs).some((input) => input.startsWith('unplugin-onnx-engine:')),
    )
    return {
      errors: misplaced
        .map(
          ([file]) =>
            new OnnxEngineError('UNSUPPORTED_TARGET', `the option 'publicPath' of esbuild, with a model in ${file}`, {
              expected: 'entries and chunks at the top of the output folder',
              received: 'one below it',
              hint: `Leave 'publicPath' out, which is for browsers, or change 'entryNames' and 'chunkNames'`,
            }),
        )
        .map(({ message }) => ({ text: message })),
    }
  })
}

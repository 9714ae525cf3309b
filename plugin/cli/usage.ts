import type { CAC } from 'cac'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { nearest } from '../../runtime/nearest.ts'

/** Descriptions of options that several commands share. */
export const optionTexts = {
  cacheDir: 'Cache folder, if the option cache.dir of the plugin is set',
  json: 'Print JSON',
  keepOnnx: 'Folder for the lowered graph and its report',
  root: 'Folder of the app (default: the current folder)',
} as const

/** The value of an option as the user typed it: cac turns texts such as '007' into numbers. */
export function optionText({ rawArgs }: Pick<CAC, 'rawArgs'>, name: string): string | undefined {
  const flag = `--${name}`
  const values = rawArgs.flatMap((argument, index) => {
    if (argument.startsWith(`${flag}=`)) return [argument.slice(flag.length + 1)]
    return argument === flag ? [rawArgs[index + 1] ?? ''] : []
  })
  if (values.length > 1) throw usageError(`${flag} is given twice`, 'Give it once')
  return values[0]
}

/** Throws OPTION_INVALID for an option that the command does not have, which cac would ignore. */
export function refuseUnknownOptions({ matchedCommand, globalCommand, options }: CAC): void {
  const known = [...(matchedCommand?.options ?? []), ...globalCommand.options]
  for (const name of Object.keys(options)) {
    if (name === '--' || known.some(({ names }) => names.includes(name))) continue
    const names = known.flatMap(({ names }) => names)
    throw usageError(`'--${name}' is not an option of '${matchedCommand?.name}'`, hintFor(name, names, '--'))
  }
}

export function hintFor(name: string, names: readonly string[], prefix = ''): string {
  const near = nearest(name, names)
  return near === undefined ? `Run 'unplugin-onnx --help' for a list` : `Did you mean '${prefix}${near}'?`
}

export function usageError(subject: string, hint: string): OnnxEngineError {
  return new OnnxEngineError('OPTION_INVALID', subject, { hint })
}

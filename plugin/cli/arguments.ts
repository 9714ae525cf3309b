import { basename } from 'node:path'
import type { CAC } from 'cac'
import { nearest, OnnxEngineError } from '../../runtime/errors.ts'
import { type Flags, forModel, present } from '../options/for-model.ts'
import { modelFilterOf, type ModelRequest, parseRequest } from '../options/query.ts'
import { appOptions } from '../options/resolve.ts'
import type { Options } from '../options/types.ts'

/** Descriptions of options that several commands share. */
export const optionTexts = {
  cacheDir: 'Cache folder, if the option cache.dir of the plugin is set',
  json: 'Print JSON',
  keepOnnx: 'Folder for the lowered graph and its report',
  root: 'Folder of the app (default: the current folder)',
} as const

/**
 * The options of a command: those of the app's `unplugin-onnx.config.ts`, with `--root`, `--cache-dir` and the flags of
 * the command in front. Throws OPTION_INVALID.
 */
export function commandOptions(cli: CAC, flags: Flags = {}): Options {
  const root = optionText(cli, 'root')
  const { config } = appOptions(undefined, root)
  const dir = optionText(cli, 'cache-dir')
  return {
    ...config?.options,
    ...present({ root, ...flags }),
    cache: { ...config?.options.cache, ...present({ dir }) },
  }
}

/**
 * The same for one model: flags also win over the file's options for it. `file` is its path as the user typed it.
 */
export function modelCommandOptions(cli: CAC, file: string, flags: Flags, others: Flags = {}): Options {
  return forModel(commandOptions(cli, { ...flags, ...others }), file, flags)
}

/**
 * The model and the wishes of a command as an import would write them, so that the command line has the same grammar
 * and the same checks. `keys` are the options that are also keys of a query. Throws OPTION_INVALID for a file that is
 * not a model, QUERY_INVALID for malformed text.
 */
export function requestOf(cli: CAC, file: string, keys: readonly string[]): ModelRequest {
  const query = keys.flatMap((key) => queryPart(key, optionText(cli, key))).join('&')
  // The name represents the file in messages. Unlike an import, a file may have '?' in its path.
  const { convert = {} } = commandOptions(cli)
  const request = parseRequest(`${basename(file).replaceAll('?', '%3F')}?${query}`, modelFilterOf(convert))
  if (request === undefined) {
    const hint = `Give the path of a model, or a rule of the option 'convert' in unplugin-onnx.config`
    throw usageError(`'${file}' is not an .onnx file`, hint)
  }
  return request
}

// In a query, '&' separates keys.
function queryPart(key: string, text: string | undefined): readonly string[] {
  return text === undefined ? [] : [`${key}=${text.replaceAll('&', '%26')}`]
}

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

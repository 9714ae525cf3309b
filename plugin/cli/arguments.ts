import { basename } from 'node:path'
import type { CAC } from 'cac'
import { type Flags, forModel, present } from '../options/for-model.ts'
import { modelFilterOf, type ModelRequest, parseRequest } from '../options/query.ts'
import { appOptions } from '../options/resolve.ts'
import type { Options } from '../options/types.ts'
import { optionText, usageError } from './usage.ts'

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

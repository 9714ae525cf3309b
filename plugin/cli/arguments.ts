import type { CAC } from 'cac'
import { nearest, OnnxEngineError } from '../../runtime/errors.ts'
import type { Options } from '../options/types.ts'
import { didYouMean } from '../text.ts'

export function placeOf(cli: CAC): Options {
  return { root: typed(cli, 'root'), cache: { dir: typed(cli, 'cache-dir') } }
}

// In the query's own grammar, in which '&' stands between keys.
export function wish(key: string, text: string | undefined): readonly string[] {
  return text === undefined ? [] : [`${key}=${text.replaceAll('&', '%26')}`]
}

/** An option's value as it was typed: cac makes numbers of texts such as '007'. */
export function typed({ rawArgs }: CAC, name: string): string | undefined {
  const flag = `--${name}`
  const values = rawArgs.flatMap((arg, index) => {
    if (arg.startsWith(`${flag}=`)) return [arg.slice(flag.length + 1)]
    return arg === flag ? [rawArgs[index + 1] ?? ''] : []
  })
  if (values.length > 1) throw usageError(`${flag} is given twice`, 'Give it once')
  return values[0]
}

export function refuseUnknownOptions({ matchedCommand, globalCommand, options }: CAC): void {
  const known = [...(matchedCommand?.options ?? []), ...globalCommand.options]
  for (const name of Object.keys(options)) {
    if (name === '--' || known.some(({ names }) => names.includes(name))) continue
    throw usageError(
      `'--${name}' is not an option of '${matchedCommand?.name}'`,
      hintFor(
        name,
        known.flatMap(({ names }) => names),
        '--',
      ),
    )
  }
}

export function hintFor(name: string, names: readonly string[], prefix = ''): string {
  const near = nearest(name, names)
  return didYouMean(near && prefix + near) ?? `'unplugin-onnx --help' lists what there is`
}

export function usageError(where: string, hint: string): OnnxEngineError {
  return new OnnxEngineError('OPTION_INVALID', where, { hint })
}

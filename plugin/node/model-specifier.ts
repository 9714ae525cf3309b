import { readConfig } from '../options/config-file.ts'
import { modelFilter, modelFilterOf } from '../options/query.ts'
import { isLikelyModel } from './likely-model.ts'

/**
 * The filter for an import that may be of a model; undefined for one that is not. For endings that neither Node.js nor
 * this package knows, the option `convert` of the app tells.
 */
export function filterFor(specifier: string): RegExp | undefined {
  if (modelFilter.test(specifier)) return modelFilter
  if (!isLikelyModel(specifier)) return undefined
  const filter = modelFilterOf(readConfig(process.cwd())?.options.convert ?? {})
  return filter.test(specifier) ? filter : undefined
}

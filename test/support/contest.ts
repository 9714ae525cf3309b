import { openStore } from '../../plugin/cache/store.ts'
import { enginesToCompare } from '../../plugin/compile/compare-engines.ts'
import { compileOptions, resolveOptions } from '../../plugin/options/resolve.ts'
import type { Options } from '../../plugin/options/types.ts'
import type { Contest } from '../../plugin/verify/compare-candidate.ts'
import { findContest } from '../../plugin/verify/verify.ts'
import { root } from './openvino-models.ts'

/** Builds the engines that the options ask for, ready to be compared with the fp32 model. The cache is in `folder`. */
export async function contestsOf(file: string, options: Options, folder: string): Promise<readonly Contest[]> {
  const resolved = resolveOptions({ ...options, cache: { dir: folder } }, root)
  const request = { file, query: '', options: compileOptions(resolved, { file, query: {} }), convert: {}, root }
  const context = { store: openStore({ ...resolved.cache, warn: console.warn }), log: () => {}, warn: () => {} }
  const engines = await enginesToCompare(request, undefined, context)
  return Promise.all(
    engines.map(async (engine) => {
      const found = await findContest(engine.request)
      if ('reason' in found) throw new Error(found.reason)
      return found.contest
    }),
  )
}

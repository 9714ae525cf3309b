import { readFile, writeFile } from 'node:fs/promises'
import type { StoreRequest } from './build.ts'
import type { Store } from './store.ts'

/**
 * A result that is costly to find, kept in the cache as JSON: from the cache, or computed once and written. Either way
 * it is what JSON keeps of it: Infinity and NaN come back as null, and properties that are undefined not at all.
 *
 * @throws OnnxEngineError COMPILE_ABORTED, as `getOrBuild` does, and what `compute` throws
 */
export async function storedJson<T>(store: Store, request: StoreRequest, compute: () => Promise<T>): Promise<T> {
  const { artifact } = await store.getOrBuild(request, async (output) => {
    await writeFile(output, JSON.stringify(await compute()))
  })
  return JSON.parse(await readFile(artifact.file, 'utf8')) as T
}

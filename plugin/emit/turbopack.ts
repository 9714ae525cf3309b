import { existsSync } from 'node:fs'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { hashFile } from '../files/hash.ts'
import { type EngineAsset, engineNames } from './asset.ts'
import { copyEngine } from './copy-engine.ts'
import { type EngineCode, relativeUrl } from './location.ts'

/** The folders of a build of Next.js that engines pass through. */
export interface TurbopackFolders {
  /** Folder of engines next to Turbopack's own cache, which keeps modules of models from build to build. */
  readonly kept: string
  /** Folder of engines in the output. */
  readonly output: string
}

/**
 * An engine in Turbopack. Its loaders cannot emit files, and an asset of `new URL()` is published on the web where
 * server components use it. So the engine waits in a folder that lives as long as Turbopack's cache, and `writeEngines`
 * copies it into the output. At run time `import.meta.url` is the place that the module had in the sources, relative to
 * where the output is now; `String()` keeps Turbopack from reading the URL as an asset.
 */
export async function turbopackEngine(
  asset: EngineAsset,
  module: string,
  { kept, output }: TurbopackFolders,
): Promise<EngineCode> {
  await copyEngine(asset, kept)
  const path = relative(dirname(module), join(output, asset.name)).split(sep).join('/')
  return {
    prelude: 'const base = String(import.meta.url)',
    location: `new URL(${JSON.stringify(relativeUrl(path))}, base)`,
  }
}

/**
 * Copies the engines that scripts below `code` use from the folder where they wait, and adds them to the lists of files
 * that Next.js deploys with each route, which it wrote before they were there.
 *
 * @throws OnnxEngineError CACHE_FAILED when one is missing there, OUTPUT_FAILED
 */
export async function writeEngines(code: string, { kept, output }: TurbopackFolders): Promise<void> {
  const files = (await readdir(code, { recursive: true })).map((file) => join(code, file))
  const used = new Map<string, readonly string[]>()
  for (const file of files.filter((name) => name.endsWith('.js'))) {
    const names = engineNames(await readFile(file, 'utf8'), basename(output))
    if (names.length > 0) used.set(file, names)
  }
  // webpack has written its engines already, next to its chunks.
  const places = new Map(files.map((file) => [basename(file), file]))
  for (const name of new Set([...used.values()].flat())) {
    if (places.has(name)) continue
    await writeEngine(name, { kept, output })
    places.set(name, join(output, name))
  }
  for (const list of files.filter((name) => name.endsWith('.nft.json'))) await addToTrace(list, used, places)
}

async function writeEngine(name: string, { kept, output }: TurbopackFolders): Promise<void> {
  const source = join(kept, name)
  if (!existsSync(source)) throw lostEngine(name, kept)
  const [{ size }, sha256] = await Promise.all([stat(source), hashFile(source)])
  await copyEngine({ name, source, size, sha256 }, output)
}

async function addToTrace(
  list: string,
  used: ReadonlyMap<string, readonly string[]>,
  places: ReadonlyMap<string, string>,
): Promise<void> {
  const folder = dirname(list)
  const { files, ...rest } = JSON.parse(await readFile(list, 'utf8')) as { readonly files: readonly string[] }
  const names = new Set(files.flatMap((file) => used.get(resolve(folder, file)) ?? []))
  if (names.size === 0) return
  const engines = [...names].map((name) =>
    relative(folder, places.get(name) ?? name)
      .split(sep)
      .join('/'),
  )
  await writeFile(list, JSON.stringify({ ...rest, files: [...new Set([...files, ...engines])] }))
}

function lostEngine(name: string, kept: string): OnnxEngineError {
  return new OnnxEngineError('CACHE_FAILED', `engine ${name}`, {
    expected: `a file in ${kept}, next to the cache of Turbopack, which kept the module of its model`,
    received: 'none',
    hint: `Remove ${dirname(kept)} and build again`,
  })
}

import { join, posix } from 'node:path'
import { placeOf } from './entries.ts'

/** The part of Rolldown's graph that is used here. */
export interface Graph {
  getModuleInfo(
    id: string,
  ): { readonly importedIds: readonly string[]; readonly dynamicallyImportedIds: readonly string[] } | null
}

/** What is bundled: `entries` are files of `dist`. */
interface Sources {
  readonly dist: string
  readonly entries: readonly string[]
}

/**
 * Modules that are always loaded together. Each line is a chunk and the modules of `dist` whose imports are in it,
 * without those of the lines above.
 */
const together: readonly (readonly [chunk: string, ...modules: readonly string[]])[] = [
  // What everything loads, and the little of Node.js that every bundler needs besides.
  ['runtime/shared/base', 'runtime/errors.js', 'runtime/manifest.js', 'runtime/text.js', 'runtime/dtype.js'],
  ['runtime/shared/files', 'runtime/make-folder.js', 'runtime/onnxruntime/cpu.js', 'native/platform.js'],
  // What bundlers and the hook of plain Node.js need to see a model.
  [
    'plugin/shared/models',
    'plugin/imports/resolve.js',
    'plugin/options/query.js',
    'plugin/options/config-file.js',
    'plugin/options/types.js',
    'plugin/emit/module.js',
  ],
  // What a start of plain Node.js loads for a model whose engines are in the cache, besides the lines above.
  ['runtime/shared/find', 'runtime/openvino/library.js', 'runtime/tensorrt/library.js'],
  ['plugin/shared/hook', 'plugin/node/sync-hooks.js', 'plugin/node/async-model.js', 'plugin/cache/leases.js'],
  // What every model needs, in Node.js and in pages.
  [
    'runtime/shared/core',
    'runtime/open-model.js',
    'runtime/check-options.js',
    'runtime/no-variant.js',
    'runtime/types.js',
  ],
  // What pages load: nothing of Node.js may be in it.
  ['runtime/shared/page', 'runtime/web/index.js', 'runtime/electron/index.js'],
  ['runtime/shared/model', 'runtime/index.js'],
  // What every bundler loads before it sees a model.
  ['plugin/shared/start', 'plugin/vite.js', 'plugin/rollup.js'],
  ['plugin/shared/build-plugin', 'plugin/esbuild.js', 'plugin/bun.js'],
  // What it loads for a model whose engines are in the cache.
  ['plugin/shared/store', 'plugin/cache/store.js'],
  [
    'plugin/shared/hit',
    'plugin/compile/model.js',
    'plugin/types/write.js',
    'plugin/types/folder.js',
    'plugin/backend/onnxruntime/backend.js',
    'plugin/emit/copy-engine.js',
  ],
]

/** Rooms of which one file is used at a time. */
const apart: ReadonlySet<string> = new Set(['plugin/cli'])

/**
 * Chooses the chunk of each module: what is loaded together, a library with what it needs, or a room. The bundler alone
 * would make one for each set of importers, which are hundreds. Entries are chunks of their own.
 */
export function chunksOf(sources: Sources): (id: string, graph: Graph) => string | undefined {
  const entries = new Set(sources.entries.map((file) => join(sources.dist, file)))
  let chunks: ReadonlyMap<string, string> | undefined
  return (id, graph) => {
    chunks ??= chooseChunks(sources, graph)
    const chunk = chunks.get(id)
    if (chunk !== undefined || entries.has(id)) return chunk
    const place = placeOf(sources.dist, id)
    return isOwn(sources, id) && !apart.has(posix.dirname(place)) ? roomOf(place) : undefined
  }
}

function chooseChunks(sources: Sources, graph: Graph): ReadonlyMap<string, string> {
  const chunks = new Map<string, string>()
  const put = (chunk: string, ids: Iterable<string>) => {
    for (const id of ids) if (!chunks.has(id)) chunks.set(id, chunk)
  }
  const importsOf = (id: string) => graph.getModuleInfo(id)?.importedIds ?? []
  const lateImportsOf = (id: string) => graph.getModuleInfo(id)?.dynamicallyImportedIds ?? []
  const inDist = (id: string) => isOwn(sources, id)
  const at = (files: readonly string[]) => files.map((file) => join(sources.dist, file))
  for (const [chunk, ...modules] of together) {
    const isSide = (id: string) => chunk.startsWith('runtime/') || placeOf(sources.dist, id).startsWith('plugin/')
    put(chunk, [...reached(at(modules), (id) => importsOf(id).filter(inDist))].filter(isSide))
  }
  const all = reached(at(sources.entries), (id) => [...importsOf(id), ...lateImportsOf(id)])
  const used = [...all].filter(inDist).flatMap((id) => [...importsOf(id), ...lateImportsOf(id)].filter(isOutside))
  for (const library of [...new Set(used)].sort())
    put(
      `plugin/libraries/${libraryOf(library)}`,
      reached([library], (id) => importsOf(id).filter(isOutside)),
    )
  return chunks
}

/** These modules, and all that `next` leads to from them. */
function reached(roots: readonly string[], next: (id: string) => readonly string[]): ReadonlySet<string> {
  const seen = new Set(roots)
  // A set gives what is added while it is iterated.
  for (const id of seen) for (const found of next(id)) seen.add(found)
  return seen
}

// Rooms import one way, and so do their chunks.
function roomOf(place: string): string {
  const [side = '', ...folders] = place.split('/').slice(0, -1)
  if (side === 'plugin') return `plugin/shared/${folders.join('-') || 'entries'}`
  return `runtime/shared/${folders.join('-') || side}`
}

function isOwn({ dist }: Sources, id: string): boolean {
  return id.startsWith(dist)
}

function isOutside(id: string): boolean {
  return libraryOf(id) !== undefined
}

/** The name of the package that a module is part of, as a file name; undefined for our own. */
function libraryOf(id: string): string | undefined {
  const [, name] = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(id.replaceAll('\\', '/')) ?? []
  return name?.replace('@', '').replace('/', '-')
}

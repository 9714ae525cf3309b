import { EventEmitter, once } from 'node:events'
import { statSync, watch, type FSWatcher } from 'node:fs'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { glob } from 'tinyglobby'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { ResolvedOptions } from '../options/schema.ts'
import { ignoredSources } from './find.ts'
import { sourceExtensions } from './specifiers.ts'

export interface WatchContext {
  /** Told what `run` rejects with: the next change tries again. */
  readonly failed: (error: unknown) => void
  readonly signal?: AbortSignal
}

/**
 * Calls `run` now, and again whenever a source, a model, a package.json or a tsconfig.json changes below the root or
 * beside the models that `run` returns; one call at a time, until the signal aborts. Rejects with TYPES_FAILED when the
 * system refuses to watch so many folders.
 */
export async function watchSources(
  options: ResolvedOptions,
  run: () => Promise<readonly string[]>,
  { failed, signal }: WatchContext,
): Promise<void> {
  const watchers = new Map<string, FSWatcher>()
  const changes = new EventEmitter()
  const wake = () => void changes.emit('change')
  try {
    for (;;) {
      const changed = once(changes, 'change', { signal }).catch(() => {})
      // Listening comes before looking, so that no change is lost between the two.
      const folders = await sourceFolders(options)
      for (const folder of folders) follow(watchers, folder, wake)
      const files = (await run().catch(failed)) ?? []
      const beside = files.map((file) => dirname(file))
      for (const folder of beside) follow(watchers, folder, wake)
      const wanted = new Set([...folders, ...beside])
      for (const folder of watchers.keys()) if (!wanted.has(folder)) forget(watchers, folder)
      await changed
      if (signal?.aborted) return
      // Editors and package managers change several files in one go.
      await setTimeout(quietMs)
    }
  } finally {
    for (const folder of watchers.keys()) forget(watchers, folder)
  }
}

const quietMs = 50
const extensions: ReadonlySet<string> = new Set([...sourceExtensions, '.onnx'])

// Folder by folder, because Linux knows nothing else, and so that node_modules costs nothing.
function follow(watchers: Map<string, FSWatcher>, folder: string, wake: () => void): void {
  if (watchers.has(folder)) return
  try {
    const watcher = watch(folder, (_, name) => {
      if (name === null || matters(join(folder, name), watchers)) wake()
    })
    // All that Windows says of a folder that was removed.
    watcher.on('error', () => {
      forget(watchers, folder)
      wake()
    })
    watchers.set(folder, watcher)
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : undefined
    // Removed since it was listed: the folder around it tells.
    if (code === 'ENOENT') return
    throw new OnnxEngineError('TYPES_FAILED', `unplugin-onnx types --watch: ${folder}`, {
      expected: `a system that watches ${watchers.size + 1} folders`,
      received: code ?? String(cause),
      hint: 'Raise its limit of watched files (on Linux fs.inotify.max_user_watches), or name a smaller folder by --root',
      cause,
    })
  }
}

function forget(watchers: Map<string, FSWatcher>, folder: string): void {
  watchers.get(folder)?.close()
  watchers.delete(folder)
}

// A folder may come, go, or be renamed with all that is in it.
function matters(file: string, watchers: ReadonlyMap<string, FSWatcher>): boolean {
  if (extensions.has(extname(file)) || /^(?:package|[tj]sconfig.*)\.json$/.test(basename(file))) return true
  return watchers.has(file) || (statSync(file, { throwIfNoEntry: false })?.isDirectory() ?? false)
}

async function sourceFolders(options: ResolvedOptions): Promise<readonly string[]> {
  const found = await glob('**/', {
    cwd: options.root,
    absolute: true,
    onlyDirectories: true,
    ignore: ignoredSources(options),
  })
  return [...new Set([options.root, ...found.map((folder) => resolve(folder))])]
}

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
  /** Receives the error when `update` rejects; the next change tries again. */
  readonly onError: (error: unknown) => void
  readonly signal?: AbortSignal
}

/**
 * Calls `update` now, and again whenever a source, a model, a package.json or a tsconfig.json changes below the root or
 * next to the models that `update` returns. One call at a time, until the signal aborts. Rejects with TYPES_FAILED when
 * the system refuses to watch so many folders.
 */
export async function watchSources(
  options: ResolvedOptions,
  update: () => Promise<readonly string[]>,
  { onError, signal }: WatchContext,
): Promise<void> {
  const watchers = new Map<string, FSWatcher>()
  const changes = new EventEmitter()
  // Of other frameworks too, by their paths.
  const models = new Set<string>()
  const context = { watchers, models, wake: () => void changes.emit('change') }
  try {
    for (;;) {
      const changed = once(changes, 'change', { signal }).catch(() => {})
      // Listen first and look afterwards, so that no change is lost between the two.
      const folders = await sourceFolders(options)
      for (const folder of folders) watchFolder(context, folder)
      for (const file of (await update().catch(onError)) ?? []) models.add(file)
      const modelFolders = Array.from(models, (file) => dirname(file))
      for (const folder of modelFolders) watchFolder(context, folder)
      const wanted = new Set([...folders, ...modelFolders])
      for (const folder of watchers.keys()) if (!wanted.has(folder)) unwatchFolder(watchers, folder)
      await changed
      if (signal?.aborted) return
      // Editors and package managers change several files at once.
      await setTimeout(quietMs)
    }
  } finally {
    for (const folder of watchers.keys()) unwatchFolder(watchers, folder)
  }
}

const quietMs = 50
const extensions: ReadonlySet<string> = new Set([...sourceExtensions, '.onnx'])

interface Watching {
  readonly watchers: Map<string, FSWatcher>
  /** Every model that was found, however it is named. */
  readonly models: ReadonlySet<string>
  readonly wake: () => void
}

// Folder by folder: Linux cannot watch a whole tree, and node_modules then costs nothing.
function watchFolder({ watchers, models, wake }: Watching, folder: string): void {
  if (watchers.has(folder)) return
  try {
    const watcher = watch(folder, (_, name) => {
      if (name === null || models.has(join(folder, name)) || isRelevant(join(folder, name), watchers)) wake()
    })
    // The only event on Windows when the folder is removed.
    watcher.on('error', () => {
      unwatchFolder(watchers, folder)
      wake()
    })
    watchers.set(folder, watcher)
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : undefined
    // Removed since it was listed: the watcher of its parent reports that.
    if (code === 'ENOENT') return
    throw new OnnxEngineError('TYPES_FAILED', `unplugin-onnx types --watch: ${folder}`, {
      expected: `a system that watches ${watchers.size + 1} folders`,
      received: code ?? String(cause),
      hint:
        'Raise the limit of watched files (on Linux fs.inotify.max_user_watches), ' +
        'or choose a smaller folder with --root',
      cause,
    })
  }
}

function unwatchFolder(watchers: Map<string, FSWatcher>, folder: string): void {
  watchers.get(folder)?.close()
  watchers.delete(folder)
}

// A folder may appear, disappear, or be renamed with everything in it.
function isRelevant(file: string, watchers: ReadonlyMap<string, FSWatcher>): boolean {
  if (extensions.has(extname(file)) || /^(?:package|[tj]sconfig.*|unplugin-onnx\.config)\.json$/.test(basename(file)))
    return true
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

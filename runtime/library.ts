import { readdirSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'

/** A place where an engine library may lie. */
export interface Place {
  /** What a user knows it by, such as 'OPENVINO_ROOT'. */
  readonly name: string
  /** A folder, or the library itself; undefined when the place is not set up. */
  readonly path: string | undefined
  /** The user named this place: when the library is not here, no other place is tried. */
  readonly explicit?: boolean
}

export interface LibraryPattern {
  /** The library's file name. */
  readonly file: RegExp
  /** Folders inside a place that hold it, such as 'lib'. The place itself comes first without being listed. */
  readonly folders: readonly string[]
}

/**
 * Looks for an engine library by name only: nothing is opened. When there is none, `tried` lists every place, for one
 * error.
 */
export function findLibrary(
  pattern: LibraryPattern,
  places: readonly Place[],
): { readonly file: string } | { readonly tried: string } {
  const tried: string[] = []
  for (const place of places) {
    const file = place.path === undefined ? undefined : searchPlace(pattern, place.path)
    if (file !== undefined) return { file }
    tried.push(place.path === undefined ? `${place.name} (not set)` : `${place.name} (${place.path})`)
    if (place.explicit && place.path !== undefined) break
  }
  return { tried: tried.join(', ') }
}

/** Where `unplugin-onnx setup` unpacks a library: the user's cache folder, which survives `node_modules`. */
export function setupFolder(name: string): string {
  return path.join(userCache(), 'unplugin-onnx', name)
}

function userCache(): string {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env
  if (process.platform === 'win32') return LOCALAPPDATA || below(homedir(), 'AppData', 'Local')
  if (process.platform === 'darwin') return below(homedir(), 'Library', 'Caches')
  return XDG_CACHE_HOME || below(homedir(), '.cache')
}

function searchPlace({ file, folders }: LibraryPattern, place: string): string | undefined {
  const kind = statSync(place, { throwIfNoEntry: false })
  if (kind?.isFile()) return path.resolve(place)
  for (const folder of ['', ...folders]) {
    const inside = path.resolve(place, folder)
    const name = listFolder(inside).find((entry) => file.test(entry))
    if (name !== undefined) return path.join(inside, name)
  }
  return undefined
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder).sort()
  } catch {
    // Most places do not exist on most machines, and one that cannot be read cannot be used either.
    return []
  }
}

// Not path.join(), which tracers of deployments (nft and its kin) work out for the machine that builds: they would ship
// its whole cache.
function below(...parts: readonly string[]): string {
  return parts.join(path.sep)
}

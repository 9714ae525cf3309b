import { readdirSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'

/** A place that may contain an engine library. */
export interface Place {
  /** What users call it, such as 'OPENVINO_ROOT'. */
  readonly name: string
  /** A folder, or the library itself; undefined when the place is not set up. */
  readonly path: string | undefined
  /** The user chose this place: when the library is not here, no other place is searched. */
  readonly explicit?: boolean
}

export interface LibraryPattern {
  /** The library's file name. */
  readonly file: RegExp
  /** Folders inside a place that may contain it, such as 'lib'. The place itself comes first and is not listed. */
  readonly folders: readonly string[]
}

/**
 * Looks for an engine library by name only: nothing is opened. When there is none, `tried` lists every place for the
 * error message.
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

/** Why a library was not found, which places were searched, and what to do. */
export interface MissingLibrary {
  readonly reason: string
  readonly tried: string
  /** One sentence without a full stop. */
  readonly hint: string
}

/** All of it in one text. */
export function missingReason({ reason, tried, hint }: MissingLibrary): string {
  return `${reason}; tried ${tried}. ${hint}`
}

/** Where `unplugin-onnx setup` unpacks a library: in the user's cache folder, which outlives `node_modules`. */
export function setupFolder(name: string): string {
  return path.join(userCache(), 'unplugin-onnx', name)
}

function userCache(): string {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env
  if (process.platform === 'win32') return LOCALAPPDATA || joinUntraced(homedir(), 'AppData', 'Local')
  if (process.platform === 'darwin') return joinUntraced(homedir(), 'Library', 'Caches')
  return XDG_CACHE_HOME || joinUntraced(homedir(), '.cache')
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
    // Most places do not exist on most machines, and one that cannot be read cannot be used.
    return []
  }
}

// Not path.join(), which tools that trace deployments (such as nft) evaluate on the machine that builds: they would
// ship its whole cache folder.
function joinUntraced(...parts: readonly string[]): string {
  return parts.join(path.sep)
}

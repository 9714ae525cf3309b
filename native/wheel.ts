import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readdir } from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'

/** A pinned file of the Python package index: pip finds it, and its digest decides whether it is the right one. */
export interface Wheel {
  /** Name of the distribution in pip. */
  readonly name: string
  readonly version: string
  /** Tags of exactly one wheel, whatever Python and machine pip runs on. */
  readonly python: string
  readonly platform: string
  /** Lower-case hex SHA-256 of the wheel. */
  readonly sha256: string
}

export interface FetchOptions {
  /** Folder for the downloaded wheel; a wheel that is already there is used when its digest is right. */
  readonly downloads: string
  /** Passed on to pip as `--index-url`. */
  readonly indexUrl?: string
  readonly signal?: AbortSignal
}

/**
 * Downloads a wheel with the user's own pip and its settings, and verifies it. Returns the path of the wheel. Throws
 * plain Errors.
 */
export async function fetchWheel(wheel: Wheel, options: FetchOptions): Promise<string> {
  await mkdir(options.downloads, { recursive: true })
  const kept = await findWheel(options.downloads, wheel)
  if (kept) return kept
  const { name, version, python, platform } = wheel
  const flags = ['--disable-pip-version-check', '--no-deps', '--only-binary=:all:', '--dest', options.downloads]
  const tags = ['--python-version', python, '--platform', platform]
  const index = options.indexUrl ? ['--index-url', options.indexUrl] : []
  await pip(['download', ...flags, ...tags, ...index, `${name}==${version}`], options.signal)
  const fetched = await findWheel(options.downloads, wheel)
  if (fetched) return fetched
  throw new Error(`pip downloaded ${wheel.name} ${wheel.version}, but no file with SHA-256 ${wheel.sha256}`)
}

async function findWheel(folder: string, wheel: Wheel): Promise<string | undefined> {
  const prefix = `${wheel.name.replaceAll('-', '_')}-${wheel.version}-`
  for (const name of await readdir(folder)) {
    if (!name.startsWith(prefix) || !name.endsWith('.whl')) continue
    const file = path.join(folder, name)
    const hash = createHash('sha256')
    await pipeline(createReadStream(file), hash)
    if (hash.digest('hex') === wheel.sha256) return file
  }
  return undefined
}

const pythons = [['python3'], ['python'], ['py', '-3']] as const

async function pip(args: readonly string[], signal: AbortSignal | undefined): Promise<void> {
  const failures: string[] = []
  for (const [python, ...first] of pythons) {
    try {
      await promisify(execFile)(python, [...first, '-m', 'pip', ...args], { signal })
      return
    } catch (error) {
      const { code, stderr, message } = error as Error & { code?: unknown; stderr?: string }
      signal?.throwIfAborted()
      if (code === 'ENOENT' || stderr?.includes('No module named pip'))
        failures.push(`${python}: not found or without pip`)
      else throw new Error(`pip failed: ${(stderr || message).trim()}`, { cause: error })
    }
  }
  throw new Error(`pip was not found, but downloading needs it (${failures.join('; ')})`)
}

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { mkdir, mkdtemp, open, readdir, rename, rm, writeFile, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { inflateRaw } from 'node:zlib'

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

/**
 * Unpacks a wheel (a zip file). `place` maps each entry to a path inside `folder`, or to undefined to leave it out. The
 * folder appears in one step, complete, or not at all.
 */
export async function unpackWheel(
  file: string,
  folder: string,
  place: (entry: string) => string | undefined,
): Promise<void> {
  await mkdir(path.dirname(folder), { recursive: true })
  const temporary = await mkdtemp(`${folder}-`)
  try {
    const zip = await open(file)
    try {
      for (const entry of await readDirectory(zip)) {
        const target = entry.name.endsWith('/') ? undefined : place(entry.name)
        if (target === undefined) continue
        const destination = path.resolve(temporary, target)
        if (!destination.startsWith(temporary + path.sep))
          throw new Error(`${file}: the entry ${entry.name} points outside its folder`)
        await mkdir(path.dirname(destination), { recursive: true })
        await writeFile(destination, await readEntry(zip, entry))
      }
    } finally {
      await zip.close()
    }
    await rename(temporary, folder).catch((error: unknown) => {
      // Another process was faster and unpacked the same wheel.
      if (!existsSync(folder)) throw error
    })
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
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

interface ZipEntry {
  readonly name: string
  readonly compressed: boolean
  readonly offset: number
  readonly packedSize: number
}

// The parts of the zip format that wheels use: stored and deflated entries, no encryption, under 4 GB (a larger wheel
// would be Zip64, which has 0xffffffff in these fields). Layout: APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16.
async function readDirectory(zip: FileHandle): Promise<ZipEntry[]> {
  const { size } = await zip.stat()
  const tail = await readExactly(zip, Math.max(0, size - 65_557), Math.min(size, 65_557))
  const end = tail.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'))
  if (end < 0) throw new Error('not a zip file: it has no end of central directory')
  const directory = await readExactly(zip, tail.readUInt32LE(end + 16), tail.readUInt32LE(end + 12))
  const entries: ZipEntry[] = []
  for (let at = 0; at < directory.length;) {
    if (directory.readUInt32LE(at) !== 0x02014b50) throw new Error('damaged zip file: its central directory is broken')
    const nameLength = directory.readUInt16LE(at + 28)
    entries.push({
      name: directory.toString('utf8', at + 46, at + 46 + nameLength),
      compressed: directory.readUInt16LE(at + 10) !== 0,
      packedSize: directory.readUInt32LE(at + 20),
      offset: directory.readUInt32LE(at + 42),
    })
    at += 46 + nameLength + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32)
  }
  return entries
}

async function readEntry(zip: FileHandle, entry: ZipEntry): Promise<Buffer> {
  const header = await readExactly(zip, entry.offset, 30)
  const start = entry.offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28)
  const packed = await readExactly(zip, start, entry.packedSize)
  if (!entry.compressed) return packed
  return promisify(inflateRaw)(packed).catch((cause: unknown) => {
    throw new Error(`damaged zip file: ${entry.name} cannot be unpacked`, { cause })
  })
}

async function readExactly(zip: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length)
  const { bytesRead } = await zip.read(buffer, 0, length, position)
  if (bytesRead !== length) throw new Error('damaged zip file: it ends too early')
  return buffer
}

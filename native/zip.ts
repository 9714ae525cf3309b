import { createReadStream, createWriteStream, existsSync } from 'node:fs'
import { type FileHandle, mkdir, mkdtemp, open, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createInflateRaw } from 'node:zlib'

/**
 * Unpacks the entries of a zip file (a wheel, a jar) that `place` maps to a path inside `folder`; undefined leaves an
 * entry out. The folder appears in one step, complete, or not at all. Entries are streamed: a library may have a
 * gigabyte. Throws plain Errors.
 */
export async function unpackZip(
  file: string,
  folder: string,
  place: (entry: string) => string | undefined,
  signal?: AbortSignal,
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
        await extract({ file, zip, entry, destination, signal })
      }
    } finally {
      await zip.close()
    }
    await rename(temporary, folder).catch((error: unknown) => {
      // Another process was faster, and unpacked the same.
      if (!existsSync(folder)) throw error
    })
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}

interface ZipEntry {
  readonly name: string
  readonly compressed: boolean
  readonly offset: number
  readonly packedSize: number
  readonly size: number
}

// The parts of a zip file that wheels and jars use: stored and deflated entries, no encryption, under 4 GB (beyond that
// it would be Zip64, which has 0xffffffff in these fields). Layout: APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16.
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
      size: directory.readUInt32LE(at + 24),
      offset: directory.readUInt32LE(at + 42),
    })
    at += 46 + nameLength + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32)
  }
  return entries
}

interface Extraction {
  readonly file: string
  readonly zip: FileHandle
  readonly entry: ZipEntry
  readonly destination: string
  readonly signal: AbortSignal | undefined
}

async function extract({ file, zip, entry, destination, signal }: Extraction): Promise<void> {
  const header = await readExactly(zip, entry.offset, 30)
  const start = entry.offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28)
  if (entry.packedSize === 0) return writeFile(destination, '')
  const packed = createReadStream(file, { start, end: start + entry.packedSize - 1 })
  const output = createWriteStream(destination)
  const options = { ...(signal && { signal }) }
  try {
    if (entry.compressed) await pipeline(packed, createInflateRaw(), output, options)
    else await pipeline(packed, output, options)
  } catch (cause) {
    signal?.throwIfAborted()
    // A full disk is the system's error, and says so itself.
    if ((cause as NodeJS.ErrnoException).syscall !== undefined) throw cause
    throw new Error(`damaged zip file: ${entry.name} cannot be unpacked`, { cause })
  }
  if (output.bytesWritten !== entry.size)
    throw new Error(`damaged zip file: ${entry.name} has ${output.bytesWritten} bytes instead of ${entry.size}`)
}

async function readExactly(zip: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length)
  const { bytesRead } = await zip.read(buffer, 0, length, position)
  if (bytesRead !== length) throw new Error('damaged zip file: it ends too early')
  return buffer
}

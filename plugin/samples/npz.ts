import { open, rename, rm, stat } from 'node:fs/promises'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { quote } from '../text.ts'

/** One array of an .npz file, from a .npy file. */
export interface NpzEntry {
  /** Its name in the model: any text. */
  readonly name: string
  /** Path of the .npy file. */
  readonly npy: string
}

/**
 * The name of an array in an .npz file, which is a zip: `a/b` is kept, since exporters name activations so, but a name
 * must not lead out of a folder that someone unpacks the file into, nor hide something from a terminal.
 */
export function entryName(name: string): string {
  const harmless = name.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}%\\:]/gu, encoded)
  const parts = harmless.split('/').map((part) => (/^\.+$/.test(part) ? part.replaceAll('.', '%2E') : part))
  const joined = parts.join('/')
  return joined.startsWith('/') ? `%2F${joined.slice(1)}` : joined
}

function encoded(character: string): string {
  const code = character.codePointAt(0)!.toString(16).toUpperCase().padStart(2, '0')
  return code.length > 2 ? `%{${code}}` : `%${code}`
}

/** The arrays of an .npz file as .npy bytes, by the names of inputs as the model writes them. */
export async function unzipNpz(bytes: Uint8Array, names: readonly string[]): Promise<[string, Uint8Array][]> {
  const { unzipSync } = await import('fflate')
  const plain = new Map(names.map((name) => [entryName(name), name]))
  return Object.entries(unzipSync(bytes)).map(([file, entry]) => {
    const name = file.replace(/\.npy$/, '')
    return [names.includes(name) ? name : (plain.get(name) ?? name), entry]
  })
}

// What a zip without its 64-bit extension can hold.
const mostBytes = 2 ** 32 - 2 ** 20
const mostEntries = 65_535
const mostNameBytes = 65_000

/** Bytes of a .npy file that are in memory at once. */
const chunkBytes = 2 ** 22

/**
 * Writes arrays into an .npz file, uncompressed as `numpy.savez` does; the same arrays give the same bytes.
 *
 * @throws OnnxEngineError OUTPUT_FAILED for more than a zip can hold; errors of the file system
 */
export async function writeNpz(file: string, entries: readonly NpzEntry[]): Promise<void> {
  const { Zip, ZipPassThrough } = await import('fflate')
  const sizes = await Promise.all(entries.map(async ({ npy }) => (await stat(npy)).size))
  const total = sizes.reduce((sum, size) => sum + size, 0)
  if (total > mostBytes || entries.length > mostEntries) throw tooLarge(file, total, entries.length)
  const long = entries.find(({ name }) => Buffer.byteLength(entryName(name)) > mostNameBytes)
  if (long) throw longName(file, long)
  const temporary = `${file}.${process.pid}.tmp`
  try {
    await using target = await open(temporary, 'w')
    let chunks: Uint8Array[] = []
    const zip = new Zip((error, chunk) => {
      if (error) throw error
      chunks.push(chunk)
    })
    const flush = async () => {
      const written = chunks
      chunks = []
      // Unlike write(), it goes on after a part of the bytes.
      for (const chunk of written) await target.appendFile(chunk)
    }
    for (const { name, npy } of entries) {
      const entry = new ZipPassThrough(`${entryName(name)}.npy`)
      // A zip can hold no earlier date.
      entry.mtime = new Date(1980, 0, 1)
      zip.add(entry)
      for await (const chunk of chunksOf(npy)) {
        entry.push(chunk)
        await flush()
      }
      entry.push(new Uint8Array(0), true)
    }
    zip.end()
    await flush()
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw error
  }
  await rename(temporary, file)
}

async function* chunksOf(file: string): AsyncGenerator<Uint8Array> {
  await using source = await open(file, 'r')
  for (;;) {
    const { buffer, bytesRead } = await source.read(new Uint8Array(chunkBytes), 0, chunkBytes)
    if (bytesRead === 0) return
    yield buffer.subarray(0, bytesRead)
  }
}

function tooLarge(file: string, bytes: number, entries: number): OnnxEngineError {
  return new OnnxEngineError('OUTPUT_FAILED', file, {
    expected: `at most ${mostEntries} arrays of 4 GB in sum`,
    received: `${entries} of ${(bytes / 1e9).toFixed(1)} GB`,
    hint: 'Use smaller samples, or leave out --all-nodes',
  })
}

function longName(file: string, { name }: NpzEntry): OnnxEngineError {
  return new OnnxEngineError('OUTPUT_FAILED', `${file}: ${quote(name)}`, {
    expected: `a name of at most ${mostNameBytes} bytes`,
    received: `${name.length} characters`,
    hint: 'Give the value a shorter name',
  })
}

import { constants, existsSync, type Stats } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { OnnxEngineError } from './errors.ts'
import type { VariantManifest } from './manifest.ts'
import type { EngineFile } from './session.ts'
import { describeValue, modelSubject } from './text.ts'

/** What is known about an engine file before it is opened. */
export type ArtifactFacts = Pick<VariantManifest, 'size' | 'sha256'>

// One slice is hashed in about half a millisecond, so that verifying a large engine never holds the event loop.
const sliceBytes = 1 << 20

/**
 * The path of a manifest or an engine from what names it: a file URL (as an object or text), an absolute path, or a
 * path relative to `folder`. Undefined for what names no file of this machine, such as a URL of another scheme or
 * host.
 */
export function pathOf(place: unknown, folder: string): string | undefined {
  try {
    return readPath(place, folder)
  } catch {
    // A file URL with a host or an encoded slash, one that is wrongly encoded, or an object that cannot be read.
    return undefined
  }
}

/** What names a file, for a message: text and URLs as they are. */
export function placeText(place: unknown): string {
  try {
    return textIn(place) ?? describeValue(place)
  } catch {
    return describeValue(place)
  }
}

function textIn(place: unknown): string | undefined {
  const text = typeof place === 'object' && place !== null && 'href' in place ? place.href : place
  return typeof text === 'string' ? text : undefined
}

function readPath(place: unknown, folder: string): string | undefined {
  const text = textIn(place)
  if (text === undefined) return undefined
  // One letter before the colon is a drive of Windows.
  const scheme = /^([a-z][a-z\d+.-]+):/i.exec(text)?.[1]?.toLowerCase()
  if (scheme !== undefined && scheme !== 'file') return undefined
  return unpacked(scheme === 'file' ? fileURLToPath(text) : resolve(folder, text))
}

/** An engine file that is read when its bytes are first wanted, and no more than once. */
export function engineFile(path: string, facts: ArtifactFacts, model: string): EngineFile {
  let bytes: Promise<ArrayBuffer> | undefined
  return { path, read: () => (bytes ??= readArtifact(path, facts, model)) }
}

// Opening a FIFO without O_NONBLOCK waits for a writer, perhaps for ever. Windows has neither.
const openFlags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)

/**
 * The bytes of an engine, verified against the size and SHA-256 that it was shipped with. Throws ARTIFACT_INVALID.
 * Reads through `node:fs`, because Electron lets it see inside an asar archive and native libraries cannot.
 */
export async function readArtifact(file: string, facts: ArtifactFacts, model: string): Promise<ArrayBuffer> {
  const subject = `${modelSubject(model)}, engine file ${file}`
  try {
    const handle = await open(file, openFlags)
    try {
      return await readVerified(handle, facts, subject)
    } finally {
      await handle.close()
    }
  } catch (cause) {
    if (cause instanceof OnnxEngineError) throw cause
    const hint = 'Ship the engine files that the build wrote together with its code, or build again.'
    throw new OnnxEngineError('ARTIFACT_INVALID', subject, {
      expected: `a file of ${facts.size} bytes`,
      received: readFailure(cause),
      hint,
      cause,
    })
  }
}

async function readVerified(handle: FileHandle, facts: ArtifactFacts, subject: string): Promise<ArrayBuffer> {
  const stats = await handle.stat()
  if (!stats.isFile()) throw damagedError(subject, 'a regular file', fileKind(stats))
  const { size } = stats
  if (size !== facts.size) throw damagedError(subject, `${facts.size} bytes`, `${size} bytes`)
  const bytes = new Uint8Array(facts.size)
  // Loaded here, while the worker starts, instead of before it: that takes 4 ms.
  const { createHash } = await import('node:crypto')
  const hash = createHash('sha256')
  for (let offset = 0; offset < bytes.length;) {
    const { bytesRead } = await handle.read(bytes, offset, Math.min(sliceBytes, bytes.length - offset), offset)
    if (bytesRead === 0) throw damagedError(subject, `${facts.size} bytes`, `${offset} bytes`)
    hash.update(bytes.subarray(offset, offset + bytesRead))
    offset += bytesRead
  }
  const sha256 = hash.digest('hex')
  if (sha256 !== facts.sha256) throw damagedError(subject, `SHA-256 ${facts.sha256}`, sha256)
  return bytes.buffer
}

function damagedError(subject: string, expected: string, received: string): OnnxEngineError {
  return new OnnxEngineError('ARTIFACT_INVALID', subject, {
    expected,
    received,
    hint: 'The file was changed or truncated after the build: build or copy it again.',
  })
}

/** What a path leads to that is no regular file. */
export function fileKind(stats: Stats): string {
  if (stats.isDirectory()) return 'a folder'
  return stats.isFIFO() ? 'a FIFO' : 'a device or socket'
}

function readFailure(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  return code === 'ENOENT' ? 'no such file' : String(code ?? cause)
}

/**
 * The path at which native code can open a file: packagers of Electron apps move such files out of the archive, to a
 * folder next to it.
 */
export function unpacked(path: string): string {
  const twin = path.replace(/\.asar(?=[\\/])/, '.asar.unpacked')
  return twin !== path && existsSync(twin) ? twin : path
}

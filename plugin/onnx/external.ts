import { realpath, stat } from 'node:fs/promises'
import { dirname, resolve, posix, win32, sep } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { quote } from '../text.ts'
import type { ByteRange } from './bytes.ts'
import type { Message } from './proto.ts'

/** Finds the external data of a tensor. `length` is the size by its dims and dtype, if known. */
export type FindExternal = (tensor: Message<'TensorProto'>, length: number | undefined) => Promise<ByteRange>

/**
 * Finds external data of one model file. A location is looked up next to the given path and then next to the real file,
 * because package managers and model hubs link to a store. Its real path must be inside one of these two folders, so
 * that a hostile model cannot read other files. Throws EXTERNAL_DATA with the tensor and the location.
 */
export async function externalData(file: string): Promise<FindExternal> {
  const given = dirname(resolve(file))
  const folders = [...new Set([given, dirname(await realpath(file))])]
  const roots = await Promise.all(folders.map((folder) => realpath(folder)))
  const found = new Map<string, Promise<{ file: string; size: number }>>()

  return async (tensor, needed) => {
    const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]))
    const location = entries.get('location') ?? ''
    const where = `${file}, tensor ${quote(tensor.name)}, external data ${quote(location)}`
    if (!found.has(location)) found.set(location, locate(location, where))
    const data = await found.get(location)!
    const offset = wholeNumber(entries.get('offset') ?? '0', 'offset', where)
    const declared = entries.get('length')
    const length =
      declared === undefined ? (needed ?? Math.max(0, data.size - offset)) : wholeNumber(declared, 'length', where)
    if (needed !== undefined && length !== needed) {
      throw new OnnxEngineError('EXTERNAL_DATA', where, {
        expected: `${needed} bytes for its dims and dtype`,
        received: `${length}`,
      })
    }
    if (offset + length > data.size) {
      throw new OnnxEngineError('EXTERNAL_DATA', where, {
        expected: `${length} bytes at offset ${offset}`,
        received: `a file of ${data.size} bytes`,
        hint: 'The file may be truncated; fetch it again',
      })
    }
    return { file: data.file, offset, length }
  }

  async function locate(location: string, where: string): Promise<{ file: string; size: number }> {
    const expected = "a relative path inside the model's folder"
    const absolute = posix.isAbsolute(location) || win32.isAbsolute(location) || /^[a-z]:/i.test(location)
    if (location === '' || location.includes('\0') || absolute) {
      throw new OnnxEngineError('EXTERNAL_DATA', where, {
        expected,
        received: location === '' ? 'no location' : 'another path',
      })
    }
    for (const folder of folders) {
      const candidate = resolve(folder, location)
      if (!isInside(candidate, folder))
        throw new OnnxEngineError('EXTERNAL_DATA', where, { expected, received: 'a path that leaves it' })
      const real = await realpath(candidate).catch(missing)
      if (real === undefined) continue
      if (!roots.some((root) => isInside(real, root))) {
        throw new OnnxEngineError('EXTERNAL_DATA', where, { expected, received: `a link to ${quote(real)}` })
      }
      const stats = await stat(real)
      if (!stats.isFile())
        throw new OnnxEngineError('EXTERNAL_DATA', where, { expected: 'a file', received: 'something else' })
      return { file: real, size: stats.size }
    }
    const hint = (await backslashHint(location, given)) ?? 'Keep the data file in the folder of the model'
    throw new OnnxEngineError('EXTERNAL_DATA', where, { expected: `a file in ${given}`, received: 'none', hint })
  }
}

// ONNX wants slashes on every system; some exporters on Windows write what Windows has.
async function backslashHint(location: string, given: string): Promise<string | undefined> {
  const slashed = location.replaceAll('\\', '/')
  const candidate = resolve(given, slashed)
  if (slashed === location || !isInside(candidate, given)) return undefined
  const exists = await stat(candidate).then(
    (found) => found.isFile(),
    () => false,
  )
  if (!exists) return undefined
  return `${quote(slashed)} is there: the model was saved with the separators of Windows. Save it again with slashes`
}

function wholeNumber(text: string, key: string, where: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (Number.isSafeInteger(value)) return value
  throw new OnnxEngineError('EXTERNAL_DATA', where, { expected: `${key} as a whole number`, received: quote(text) })
}

function isInside(path: string, folder: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep)
}

// A name that is too long, a link to itself, a file instead of a folder: none of them is the data.
function missing(): undefined {
  return undefined
}

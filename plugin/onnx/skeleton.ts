import { open, stat } from 'node:fs/promises'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { decodeMessage, type Message, safeInteger } from './proto.ts'
import { skim } from './skim.ts'
import { type Source, WireError } from './window.ts'

/** A decoded model without its weights, which are still in the file. */
export type Skeleton = Message<'ModelProto'> & { readonly graph: Message<'GraphProto'> }

/**
 * Decodes a model file without its weights: fields of more than `inline` bytes stay in the file, see `skim`. Throws
 * MODEL_NOT_FOUND, MODEL_INVALID, or MODEL_UNSUPPORTED for a model with an absurd amount of structure.
 */
export async function readSkeleton(path: string, inline: number): Promise<{ skeleton: Skeleton; size: number }> {
  const size = await sizeOf(path)
  const handle = await open(path).catch((cause: Error) => {
    throw invalid(path, { expected: 'a readable file', received: cause.message, cause })
  })
  try {
    const read: Source['read'] = async (into, position) => (await handle.read(into, 0, into.length, position)).bytesRead
    try {
      const message = decodeMessage('ModelProto', await skim({ size, read }, inline))
      return { skeleton: checked(message), size }
    } catch (cause) {
      throw notAModel(cause as Error, { path, size, text: await openingText(read) })
    }
  } finally {
    await handle.close()
  }
}

async function sizeOf(path: string): Promise<number> {
  const stats = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    const hint = 'Check the path of the import'
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') {
      throw new OnnxEngineError('MODEL_NOT_FOUND', path, {
        expected: 'an ONNX model',
        received: 'no file',
        hint,
        cause,
      })
    }
    throw invalid(path, { expected: 'a readable file', received: cause.message, cause })
  })
  const received = stats.isDirectory() ? 'a folder' : 'something that is not a file'
  if (!stats.isFile()) throw invalid(path, { expected: 'an ONNX model', received })
  if (stats.size === 0)
    throw invalid(path, { expected: 'an ONNX model', received: 'an empty file', hint: 'Fetch the file again' })
  return stats.size
}

// A text or another protobuf file often parses too, as unknown fields.
function checked(message: Message<'ModelProto'>): Skeleton {
  const { graph } = message
  if (!graph) throw new Error('a message without a graph')
  const irVersion = safeInteger(message.irVersion) ?? 0
  if (irVersion < 1) throw new Error('a message without an IR version')
  // Opset imports came with IR version 3.
  if (irVersion >= 3 && message.opsetImport.length === 0) throw new Error('a model that imports no opset')
  return Object.assign(message, { graph })
}

/** A file that could not be read as a model. */
interface Unread {
  readonly path: string
  readonly size: number
  /** How it begins, if that is text. */
  readonly text: string | undefined
}

function notAModel(cause: Error, { path, size, text }: Unread): OnnxEngineError {
  const expected = 'an ONNX model'
  if (text?.startsWith('version https://git-lfs')) {
    return invalid(path, { expected, received: 'a Git LFS pointer', hint: 'Run `git lfs pull`', cause })
  }
  if (text !== undefined)
    return invalid(path, { expected, received: 'a text file', hint: 'Check the path, or what was downloaded', cause })
  const { excess, wholeSize } = cause instanceof WireError ? cause.fault : {}
  if (wholeSize !== undefined) {
    return invalid(`${path}: the file ends early`, {
      expected: `at least ${wholeSize} bytes, as its fields say`,
      received: `${size} bytes`,
      hint: 'Fetch or export it again',
      cause,
    })
  }
  const received = cause instanceof WireError ? `${cause.message} (byte ${cause.offset})` : cause.message
  if (excess) {
    const hint = 'Simplify the model, or give Node.js a larger heap: NODE_OPTIONS=--max-old-space-size=8192'
    return new OnnxEngineError('MODEL_UNSUPPORTED', path, {
      expected: 'a model whose structure fits into memory',
      received,
      hint,
      cause,
    })
  }
  const hint = 'The file may be truncated or of another format; fetch or export it again'
  return invalid(path, { expected, received, hint, cause })
}

async function openingText(read: Source['read']): Promise<string | undefined> {
  const opening = new Uint8Array(64)
  const text = new TextDecoder('latin1').decode(opening.subarray(0, await read(opening, 0)))
  return /^[\t\n\r\x20-\x7e]+$/.test(text) ? text : undefined
}

function invalid(path: string, details: ConstructorParameters<typeof OnnxEngineError>[2]): OnnxEngineError {
  return new OnnxEngineError('MODEL_INVALID', path, details)
}

import { createHash } from 'node:crypto'
import path from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { ByteRange, Model } from '../onnx/model.ts'
import { hashAround, hashSegments, type Segment } from './hash.ts'
import type { SourceDigest } from './key.ts'
import type { StatIndex } from './stat-index.ts'

/**
 * The digests of a model and of the ranges it uses of its external data. Every byte is read once, and none when the stat index
 * knows the files. Throws EXTERNAL_DATA when a file is shorter than the model says.
 */
export async function digestSource(model: Pick<Model, 'file' | 'initializers' | 'external'>, index: StatIndex): Promise<SourceDigest> {
  const weights = model.initializers.flatMap(({ range }) => (range?.file === model.file ? [range] : []))
  const source = await index.remember(model.file, named('model', weights), async () => hashAround(model.file, weights))
  const external: { location: string; sha256: string }[] = []
  for (const [file, ranges] of byFile(model.external)) {
    const { sha256 } = await index.remember(file, named('external', ranges), () => hashExternal(model.file, file, ranges))
    external.push({ location: path.relative(path.dirname(model.file), file).replaceAll(path.sep, '/'), sha256: sha256! })
  }
  return { model: source['whole']!, graph: source['around']!, external }
}

function byFile(ranges: readonly ByteRange[]): ReadonlyMap<string, readonly ByteRange[]> {
  const files = new Map<string, ByteRange[]>()
  for (const range of ranges) {
    const same = files.get(range.file)
    if (same) same.push(range)
    else files.set(range.file, [range])
  }
  return files
}

async function hashExternal(model: string, file: string, ranges: readonly ByteRange[]): Promise<{ sha256: string }> {
  const sha256 = await hashSegments(file, ranges)
  if (sha256 !== undefined) return { sha256 }
  const needed = ranges.reduce((end, { offset, length }) => Math.max(end, offset + length), 0)
  throw new OnnxEngineError('EXTERNAL_DATA', `external data ${file} of ${model}`, {
    expected: `at least ${needed} bytes`,
    received: 'a shorter file',
    hint: 'Copy the file again, or export the model again',
  })
}

// What was hashed depends on the segments as well, and those on how this version of the reader finds them.
function named(what: string, segments: readonly Segment[]): string {
  const places = segments.map(({ offset, length }) => `${offset}+${length}`).join()
  return `${what}:${createHash('sha256').update(places).digest('hex').slice(0, 16)}`
}

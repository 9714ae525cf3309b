import { createHash } from 'node:crypto'
import path from 'node:path'
import * as v from 'valibot'
import { dtypes, type DType } from '../../runtime/dtype.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Binding } from '../../runtime/manifest.ts'
import { hashAround, hashSegments, type Segment } from '../files/hash.ts'
import type { ByteRange } from '../onnx/bytes.ts'
import type { Model, ModelWithInitializers } from '../onnx/model.ts'
import type { SourceDigest } from './key.ts'
import type { StatIndex } from './stat-index.ts'

// Raised when `readModel` sees more, or something else, in the same file.
const reader = 5

/**
 * What a model declares and what its bytes are. A file that was seen before, unchanged, is neither parsed nor hashed
 * again; one with external data is parsed, since where a location leads can change without it.
 *
 * @throws OnnxEngineError what `readModel` throws.
 */
export async function readSource(
  file: string,
  index: StatIndex,
): Promise<{ readonly model: Model; readonly source: SourceDigest }> {
  let parsed: ModelWithInitializers | undefined
  const known = await index
    .remember(file, `header@${reader}`, async () => {
      parsed = await read(file)
      const { initializers: _, ...header } = parsed
      return parsed.external.length > 0
        ? {}
        : { header: JSON.stringify(header), ...(await hashAround(file, weightsOf(parsed))) }
    })
    .catch(async (error: unknown) => {
      // The index only knows that there is no such file; the reader names it.
      parsed = await read(file)
      throw error
    })
  const { header, whole, around } = known
  const model = header ? parseHeader(header, file) : undefined
  if (model && whole && around) return { model, source: { model: whole, graph: around, external: [] } }
  return readWithData(parsed ?? (await read(file)), index)
}

async function readWithData(
  model: ModelWithInitializers,
  index: StatIndex,
): Promise<{ readonly model: Model; readonly source: SourceDigest }> {
  return { model, source: await digestSource(model, index) }
}

/**
 * The digests of a model and of the ranges it uses of its external data. Every byte is read once, and none when the
 * stat index knows the files. Throws EXTERNAL_DATA when a file is shorter than the model says.
 */
export async function digestSource(
  model: Pick<ModelWithInitializers, 'file' | 'initializers' | 'external'>,
  index: StatIndex,
): Promise<SourceDigest> {
  const weights = weightsOf(model)
  const source = await index.remember(model.file, named('model', weights), async () => hashAround(model.file, weights))
  const external: { location: string; sha256: string }[] = []
  for (const [file, ranges] of byFile(model.external)) {
    const { sha256 } = await index.remember(file, named('external', ranges), () =>
      hashExternal(model.file, file, ranges),
    )
    external.push({
      location: path.relative(path.dirname(model.file), file).replaceAll(path.sep, '/'),
      sha256: sha256!,
    })
  }
  return { model: source['whole']!, graph: source['around']!, external }
}

const bindingSchema: v.GenericSchema<unknown, Binding> = v.object({
  name: v.string(),
  dtype: v.picklist(Object.keys(dtypes) as DType[]),
  dims: v.nullable(v.array(v.nullable(v.union([v.number(), v.string()])))),
})

const headerSchema: v.GenericSchema<unknown, Model> = v.object({
  file: v.string(),
  size: v.number(),
  irVersion: v.number(),
  opsets: v.record(v.string(), v.number()),
  bindings: v.object({ inputs: v.array(bindingSchema), outputs: v.array(bindingSchema) }),
  external: v.array(v.object({ file: v.string(), offset: v.number(), length: v.number() })),
  training: v.exactOptional(v.array(v.string())),
  rounds: v.exactOptional(v.string()),
  defaults: v.exactOptional(v.array(bindingSchema)),
  unsupported: v.exactOptional(
    v.array(
      v.object({
        role: v.picklist(['input', 'output']),
        name: v.string(),
        axis: v.exactOptional(v.number()),
        expected: v.string(),
        received: v.string(),
      }),
    ),
  ),
})

// What is no header of this file is as if there were none: the file is read.
function parseHeader(text: string, file: string): Model | undefined {
  try {
    const header: unknown = JSON.parse(text)
    // As it is: a schema's own output lacks keys such as "constructor", which may be the name of a domain.
    const model = v.is(headerSchema, header) ? (header as Model) : undefined
    return model?.file === path.resolve(file) ? model : undefined
  } catch {
    return undefined
  }
}

// Loaded when something has to be read: a build that finds all in the cache does not wait for the protobuf library.
async function read(file: string): Promise<ModelWithInitializers> {
  const { readModel } = await import('../onnx/model.ts')
  return readModel(file)
}

function weightsOf({ file, initializers }: Pick<ModelWithInitializers, 'file' | 'initializers'>): readonly ByteRange[] {
  return initializers.flatMap(({ range }) => (range?.file === file ? [range] : []))
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

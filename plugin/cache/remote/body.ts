import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import * as v from 'valibot'
import { entrySchema, type Entry } from '../entries.ts'
import { cacheKey, canonicalJson, type CacheKey, type Json } from '../key.ts'
import type { Signer } from './sign.ts'

/*
 * An entry as a remote store holds it: one line of JSON with the head and its signature, and then the engine. All is in
 * the body, because servers drop headers.
 */

/** An entry that is not what was signed, or not signed at all; the message says why, after 'because'. */
export class InvalidEntry extends Error {}

// Facts and reports are a few kB; a store that sends more without a line end is not one of ours.
const longestHead = 4 << 20

/** Writes the body of an entry into `output`. */
export async function writeBody(
  entry: Entry,
  engine: string,
  sign: (head: string) => string,
  output: string,
): Promise<void> {
  const head = canonicalJson(entry as unknown as Json)
  const handle = await open(output, 'w')
  try {
    await handle.writeFile(`${JSON.stringify({ head, signature: sign(head) })}\n`)
    for await (const chunk of createReadStream(engine)) await handle.writeFile(chunk as Buffer)
  } finally {
    await handle.close()
  }
}

/**
 * Reads a body, and writes its engine into `output`. Throws, in words, when the signature, the key, the size or the
 * digest is wrong; what is in `output` is then garbage. `onHead` gets the entry once its signature was verified.
 */
export async function readBody(
  body: AsyncIterable<Uint8Array>,
  { key, signer, onHead }: { readonly key: CacheKey; readonly signer: Signer; onHead(entry: Entry): void },
  output: string,
): Promise<Entry> {
  const chunks = body[Symbol.asyncIterator]()
  try {
    const { line, rest } = await firstLine(chunks)
    const entry = verifiedEntry(line, key, signer)
    onHead(entry)
    await writeEngine(entry, rest, chunks, output)
    return entry
  } finally {
    await chunks.return?.()
  }
}

async function firstLine(
  chunks: AsyncIterator<Uint8Array>,
): Promise<{ readonly line: string; readonly rest: Uint8Array }> {
  const parts: Uint8Array[] = []
  let size = 0
  for (;;) {
    const { done, value } = await chunks.next()
    if (done) throw new InvalidEntry('it ends before its signature')
    const end = value.indexOf(10)
    parts.push(end < 0 ? value : value.subarray(0, end))
    size += parts.at(-1)?.byteLength ?? 0
    if (size > longestHead) throw new InvalidEntry('it has no signature')
    if (end >= 0) return { line: Buffer.concat(parts).toString('utf8'), rest: value.subarray(end + 1) }
  }
}

function verifiedEntry(line: string, key: CacheKey, signer: Signer): Entry {
  const signed = parsed(line) as { readonly head?: unknown; readonly signature?: unknown } | null | undefined
  if (typeof signed?.head !== 'string' || typeof signed.signature !== 'string')
    throw new InvalidEntry('it has no signature')
  if (!signer.verify(signed.head, signed.signature)) throw new InvalidEntry('its signature is wrong')
  const entry = v.safeParse(entrySchema, parsed(signed.head))
  if (!entry.success) throw new InvalidEntry('its head has another form')
  // A signed entry under the key of another one is a swap.
  const { digest, facts } = entry.output
  if (digest !== key.digest || cacheKey(facts).digest !== key.digest)
    throw new InvalidEntry('it belongs to another key')
  return entry.output
}

async function writeEngine(
  { size, sha256 }: Entry,
  rest: Uint8Array,
  chunks: AsyncIterator<Uint8Array>,
  output: string,
): Promise<void> {
  const hash = createHash('sha256')
  const handle = await open(output, 'w')
  let written = 0
  try {
    for (let chunk: Uint8Array | undefined = rest; chunk;) {
      written += chunk.byteLength
      if (written > size) throw new InvalidEntry(`it has more than ${size} bytes`)
      hash.update(chunk)
      await handle.writeFile(chunk)
      const next: IteratorResult<Uint8Array> = await chunks.next()
      chunk = next.done ? undefined : next.value
    }
  } finally {
    await handle.close()
  }
  if (written !== size) throw new InvalidEntry(`it has ${written} bytes instead of ${size}`)
  if (hash.digest('hex') !== sha256) throw new InvalidEntry('its bytes have another digest')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

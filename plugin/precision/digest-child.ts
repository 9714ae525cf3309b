import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import type { CompileInChild } from '../backend/contract.ts'
import { readSamples, type Sample } from './read-samples.ts'
import type { SampleSource } from './samples.ts'

/** Reads all samples in a child process and writes their SHA-256 as JSON. */
export const compile: CompileInChild = async ({ output, settings }, log) => {
  const hash = sampleHash()
  for await (const sample of readSamples(settings['source'] as SampleSource, (state) => log('info', state)))
    hash.add(sample)
  await writeFile(output, JSON.stringify(hash.digest()))
}

/** A SHA-256 of ordered samples. */
export function sampleHash(): { add(sample: Sample): void; digest(): string } {
  const hash = createHash('sha256')
  return {
    add(sample) {
      for (const [name, { dtype, dims, data }] of sample) {
        hash.update(JSON.stringify([name, dtype, dims]))
        hash.update(
          ArrayBuffer.isView(data)
            ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
            : JSON.stringify(data),
        )
      }
    },
    digest: () => hash.digest('hex'),
  }
}

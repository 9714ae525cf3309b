import { createHash } from 'node:crypto'
import type { Sample } from './read.ts'

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

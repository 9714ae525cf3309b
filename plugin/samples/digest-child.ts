import { writeFile } from 'node:fs/promises'
import type { ChildTask } from '../child/contract.ts'
import { sampleHash } from './hash.ts'
import { readSamples } from './read.ts'
import type { SampleSource } from './source.ts'

/** Reads all samples in a child process and writes their SHA-256 as JSON. */
export const run: ChildTask = async ({ output, settings }, log) => {
  const hash = sampleHash()
  for await (const sample of readSamples(settings['source'] as SampleSource, (state) => log('info', state)))
    hash.add(sample)
  await writeFile(output, JSON.stringify(hash.digest()))
}

import { writeFile } from 'node:fs/promises'
import type { ChildTask } from '../child/contract.ts'
import type { Shapes } from '../options/types.ts'
import { readSamples } from './read.ts'
import type { SampleSource } from './source.ts'

/** The dims that some samples have. A type, not an interface: it is kept as JSON. */
export type SampleDims = {
  readonly dims: Shapes
  /** How many samples have them. */
  readonly samples: number
}

/** Reads all samples in a child process and writes their dims as JSON, a `SampleDims` for each combination. */
export const run: ChildTask = async ({ output, settings }, log) => {
  const found = new Map<string, SampleDims>()
  for await (const sample of readSamples(settings['source'] as SampleSource, (state) => log('info', state))) {
    const dims = Object.fromEntries(Array.from(sample, ([input, tensor]) => [input, [...tensor.dims]] as const))
    const key = JSON.stringify(dims)
    found.set(key, { dims, samples: (found.get(key)?.samples ?? 0) + 1 })
  }
  await writeFile(output, JSON.stringify([...found.values()]))
}

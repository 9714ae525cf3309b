import { elementCount } from '../../../runtime/dtype.ts'
import { type Sample, readSamples } from '../../samples/read.ts'
import type { SampleSource } from '../../samples/source.ts'

// Enough samples to tell ways apart, and few enough to take less time than the calibration. Counts, not times: the
// result must not depend on the load of the machine.
const limits = { least: 3, most: 32, elements: 2 ** 21 }

/** The first samples of a source: 3 to 32 of them, depending on their size. Runs in a child process. */
export async function fewSamples(source: SampleSource, onState: (state: string) => void): Promise<readonly Sample[]> {
  const samples: Sample[] = []
  let elements = 0
  for await (const sample of readSamples(source, onState)) {
    samples.push(sample)
    for (const { dims } of sample.values()) elements += elementCount(dims)
    if (samples.length >= limits.most) break
    if (samples.length >= limits.least && elements >= limits.elements) break
  }
  return samples
}

/** The same files or arrays, so that the first few come from all of the list. A module keeps its order. */
export function shuffled(source: SampleSource): SampleSource {
  if (source.kind === 'arrays') return { ...source, groups: shuffle(source.groups) }
  return source.kind === 'images' ? { ...source, files: shuffle(source.files) } : source
}

// Neighbours are often alike. In the order of i * phi modulo 1, any number of the first ones is spread over the list.
function shuffle<T>(list: readonly T[]): T[] {
  return list
    .map((item, index) => ({ item, place: (index * golden) % 1 }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item)
}

const golden = (Math.sqrt(5) - 1) / 2

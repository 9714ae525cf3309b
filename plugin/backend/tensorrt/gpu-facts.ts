import type { GpuProbe } from '../../../native/load-addon.ts'
import type { Facts } from '../../cache/key.ts'

/**
 * Facts about the GPU and its driver that decide a plan's bytes and validity, by how portable the plan is. Never the
 * UUID or the index, which two equal machines do not share. Memory is rounded to GiB, because drivers keep some of it.
 *
 * @throws TypeError when there is no GPU
 */
export function gpuFacts(
  { driver, cuda, gpus }: GpuProbe,
  compatibility: 'none' | 'ampere+' | 'same-compute-capability',
): Facts {
  const [gpu] = gpus
  if (!gpu) throw new TypeError('a key of TensorRT needs a GPU')
  const { name, computeCapability, multiprocessors, l2Bytes, memoryBusBits, memoryBytes } = gpu
  if (compatibility === 'ampere+') return { driver, cuda, computeCapability: 'sm80+' }
  if (compatibility === 'same-compute-capability') return { driver, cuda, computeCapability }
  return {
    driver,
    cuda,
    computeCapability,
    gpu: name,
    multiprocessors,
    l2Bytes,
    memoryBusBits,
    memoryGiB: Math.round(memoryBytes / 2 ** 30),
  }
}

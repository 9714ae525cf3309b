import type { Gpu, GpuProbe } from '../../native/load-addon.ts'
import type { TensorRtFlavour } from '../../native/tensorrt-wheels.ts'
import type { Requirements } from '../manifest.ts'

/**
 * The GPU that runs an engine: the one whose index the caller gave (as the driver counts), or else the first one that
 * the engine was built for. Or why there is none, as text.
 */
export function chooseGpu<F extends TensorRtFlavour>(
  flavour: F,
  requires: Requirements[F],
  { gpus }: GpuProbe,
  wanted?: number,
): { readonly index: number; readonly gpu: Gpu } | { readonly reason: string } {
  const { fits, madeFor } = rules[flavour]
  const index = wanted ?? gpus.findIndex((gpu) => fits(requires, gpu))
  const gpu = gpus[index]
  const here = gpus.map(gpuText).join(', ') || 'none'
  if (!gpu && wanted === undefined) return { reason: `${madeFor(requires)}, but this machine has ${here}` }
  if (!gpu) return { reason: `there is no GPU ${wanted}: this machine has ${here}` }
  return fits(requires, gpu) ? { index, gpu } : { reason: `${madeFor(requires)}, but GPU ${index} is ${gpuText(gpu)}` }
}

const rules: {
  readonly [F in TensorRtFlavour]: {
    readonly fits: (requires: Requirements[F], gpu: Gpu) => boolean
    readonly madeFor: (requires: Requirements[F]) => string
  }
} = {
  'tensorrt-rtx': {
    fits: ({ targets }, { computeCapability }) => targets.includes(computeCapability),
    madeFor: ({ targets }) => `compiled for ${targets.join(', ')}`,
  },
  tensorrt: {
    fits: (requires, gpu) =>
      requires.computeCapability.endsWith('+')
        ? numberOf(gpu) >= numberOf(requires)
        : gpu.computeCapability === requires.computeCapability,
    madeFor: ({ gpu, computeCapability }) => `compiled on ${gpu} (${computeCapability})`,
  },
}

function numberOf({ computeCapability }: { readonly computeCapability: string }): number {
  return Number.parseInt(computeCapability.slice(2), 10)
}

function gpuText({ name, computeCapability }: Gpu): string {
  return `${name} (${computeCapability})`
}

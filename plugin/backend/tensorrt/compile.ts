import { writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { loadAddon, type TensorRtBuild } from '../../../native/load-addon.ts'
import type { TensorRtAddonName } from '../../../native/tensorrt-wheels.ts'
import { OnnxEngineError } from '../../../runtime/errors.ts'
import { makeFolder } from '../../../runtime/make-folder.ts'
import type { ChildTask } from '../../child/contract.ts'
import { type Lock, acquireLock } from '../../files/lock.ts'
import { type Layer, layersFile } from '../layers.ts'
import { layersOf, listsLayers } from './layers.ts'

/** Parses the model and builds the engine. Runs in the compiler's child process. */
export const run: ChildTask = async ({ name, model, output, settings, verbose = false }, log) => {
  const { addon, library, product, targets, ...build } = settings as unknown as TensorRtSettings
  const loaded = loadAddon(addon)
  if ('reason' in loaded) throw new OnnxEngineError('BACKEND_UNAVAILABLE', `${name}: ${loaded.reason}`)
  // TensorRT-RTX adds CUDA's last error to each of its own, and that is the missing driver. It builds without one.
  const isRtx = addon.startsWith('tensorrt_rtx')
  const isNoise = (text: string) => isRtx && text.includes('(cudaError 35: ')
  // The builder lists the layers among everything else that it logs.
  const isDetailed = build.profilingVerbosity === 'detailed'
  let layers: readonly Layer[] = []
  const lock = build.timingCache === '' ? undefined : await lockTimings(build.timingCache)
  try {
    await loaded.addon.build(library, { ...build, model, output, verbose: verbose || isDetailed }, (severity, text) => {
      if (listsLayers(text)) layers = layersOf(text)
      if (!isNoise(text) && (verbose || severity !== 'info')) log(severity, text)
    })
    if (isDetailed && layers.length > 0) await writeFile(layersFile(output), JSON.stringify(layers))
  } catch (cause) {
    const lines = (cause instanceof Error ? cause.message : String(cause)).split('\n')
    const text = (lines.every(isNoise) ? lines : lines.filter((line) => !isNoise(line))).join('\n')
    throw new OnnxEngineError(
      'COMPILE_FAILED',
      `${name}: ${product} cannot build the model for ${targets.join(', ')}: ${text}`,
      {
        cause,
        hint: build.flags.length > 0 && isRtx ? refitHint : leaveOutHint(product),
      },
    )
  } finally {
    await lock?.release()
  }
}

// As TensorRT-RTX 1.5 to 1.7 do: its own text is an assertion of its kernel generator.
const refitHint =
  "'refit' takes one target. It and, for most models, 'stripPlan' need an NVIDIA driver on the building machine"

function leaveOutHint(product: string): string {
  return `If the model must stay as it is, leave ${product} out of its backends: '?backend=' or the option 'models'`
}

// All models share one timing cache, and a build reads it at its start and replaces it at its end.
async function lockTimings(file: string): Promise<Lock> {
  await makeFolder(dirname(file))
  return acquireLock(`${file}.lock`)
}

/** What the child process needs to know: the build, and what opens the library. */
export interface TensorRtSettings extends Omit<TensorRtBuild, 'model' | 'output' | 'verbose'> {
  readonly addon: TensorRtAddonName
  readonly library: string
  /** For messages. */
  readonly product: string
  readonly targets: readonly string[]
}

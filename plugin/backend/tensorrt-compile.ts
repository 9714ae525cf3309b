import { acquireLock } from '../cache/lock.ts'
import { loadAddon } from '../../native/index.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { CompileInChild } from './contract.ts'
import type { TensorRtSettings } from './tensorrt.ts'

/** Parses the model and builds the engine. Runs in the compiler's child process. */
export const compile: CompileInChild = async ({ name, model, output, settings, verbose = false }, log) => {
  const { addon, library, product, targets, ...build } = settings as unknown as TensorRtSettings
  const loaded = loadAddon(addon)
  if ('reason' in loaded) throw new OnnxEngineError('BACKEND_UNAVAILABLE', `${name}: ${loaded.reason}`)
  // All models share one timing cache, and a build reads it at its start and replaces it at its end.
  const lock = build.timingCache === '' ? undefined : await acquireLock(`${build.timingCache}.lock`)
  try {
    await loaded.addon.build(library, { ...build, model, output, verbose }, log)
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    throw new OnnxEngineError('COMPILE_FAILED', `${name}: ${product} cannot build the model for ${targets.join(', ')}: ${text}`, { cause })
  } finally {
    await lock?.release()
  }
}

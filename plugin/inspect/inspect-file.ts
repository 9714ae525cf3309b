import { stat } from 'node:fs/promises'
import { extname, resolve } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { inspectFolder, inspectManifest, manifestOfEngine } from './bundle.ts'
import type { EngineInspection, Inspection } from './contract.ts'
import { readEngineHeader } from './engine-header.ts'
import { inspectModel, type InspectOptions } from './inspect-model.ts'

/**
 * Describes a model, an engine of any backend, a manifest, or the output folder of a build.
 *
 * @throws OnnxEngineError MODEL_NOT_FOUND, MODEL_INVALID for a file that is none of these, and for options that do not
 *   fit a model
 */
export async function inspectFile(file: string, options: InspectOptions): Promise<Inspection> {
  const stats = await stat(file).catch(() => undefined)
  if (stats?.isDirectory()) return inspectFolder(file)
  if (!stats?.isFile()) return inspectModel(file, options)
  if (extname(file) === '.json') return inspectManifest(file)
  const header = await readEngineHeader(file)
  if (header) return inspectEngine(file, stats.size, header)
  return inspectModel(file, options).catch((cause: unknown) => {
    const isForeign = cause instanceof OnnxEngineError && cause.code === 'MODEL_INVALID' && extname(file) !== '.onnx'
    if (!isForeign) throw cause
    throw new OnnxEngineError('MODEL_INVALID', file, {
      expected: 'a model, an engine, a manifest or the output folder of a build',
      received: 'none of these',
      cause,
    })
  })
}

async function inspectEngine(
  file: string,
  size: number,
  { backend, format, facts }: Pick<EngineInspection, 'backend' | 'format' | 'facts'>,
): Promise<EngineInspection> {
  const listed = await manifestOfEngine(file)
  return { kind: 'engine', file: resolve(file), size, backend, format, facts, ...listed }
}

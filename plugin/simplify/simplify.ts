import { join } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { BackendName, Bindings } from '../../runtime/manifest.ts'
import type { Pass } from '../cache/key.ts'
import { runChild } from '../child/run.ts'
import { findReference } from '../measure/reference.ts'
import { modelBytes } from '../onnx/size.ts'
import type { SampleRequest } from '../samples/request.ts'
import type { SimplifySettings } from './simplify-child.ts'

// Makes a graph simpler before a compiler sees it, where that compiler refuses or mistakes what ONNX Runtime takes.
// simplify-graph.ts is the story of the child process: tidy.ts, inline-functions.ts and constant-branches.ts change the
// graph, infer-dims.ts and evaluate.ts ask ONNX Runtime, and fold-shapes.ts and fold-constants.ts use its answers.
// decompose/ replaces operators: patterns.ts is the table, with a file for each family.

/** Raised whenever another graph comes out of the same model. */
const version = 3

/** A model to simplify for a compiler. */
export interface SimplifyRequest extends SampleRequest {
  readonly backend: BackendName
  /** Bindings of the engine: static dims are written into the graph first. */
  readonly bindings: Bindings
  readonly warn: (line: string) => void
}

/** What goes into the key: the release that computes constants is part of it. */
export async function describeSimplify(request: SampleRequest): Promise<Pass> {
  const reference = await findReference(request)
  return { name: 'simplify', version, options: { onnxruntime: reference.available ? reference.version : null } }
}

/**
 * Writes a simpler model, which gives the same results, into a folder; returns its path. If that fails, it is the
 * original with a warning: simplifying is no reason to fail a build.
 *
 * @throws OnnxEngineError COMPILE_ABORTED
 */
export async function simplifyModel(request: SimplifyRequest, into: string): Promise<string> {
  const { name, model, bindings, backend, signal, warn } = request
  const reference = await findReference(request)
  const output = join(into, 'simplified.onnx')
  const settings: SimplifySettings = {
    module: reference.available ? reference.detail.module : null,
    bindings,
    backend,
    bytes: modelBytes(model),
  }
  try {
    await runChild(
      new URL('./simplify-child.js', import.meta.url),
      { name, model: model.file, output, settings: { ...settings } },
      { signal, modelBytes: settings.bytes, what: 'simplifying' },
    )
    return output
  } catch (error) {
    if (signal?.aborted || !(error instanceof OnnxEngineError)) throw error
    warn(`${name}: compiled without simplifying the graph: ${error.message}`)
    return model.file
  }
}

import type { LoadOptions } from 'unplugin-onnx/runtime'
import { startMeasured } from '../../plugin/bench/measured-process.ts'
import { inTurn } from '../../plugin/bench/statistics.ts'
import type { BackendName } from '../../runtime/manifest.ts'
import { childEnvironment } from './measure.ts'
import type { BenchModel } from './models.ts'

/** A measurement. */
export interface SideRequest {
  /**
   * `call`: the mean time of calls one after another. `sync`: the same by inferSync(). `together`: the time of all
   * calls, made at once. `delay`: how late the event loop is meanwhile, see `loopDelayDuring`. `memory`: of the process
   * in MB, after calls at once. `abort`: processor time that a call takes after it was aborted.
   */
  readonly what: 'call' | 'sync' | 'together' | 'delay' | 'memory' | 'abort'
  readonly calls: number
}

/** Our engine, and the model for onnxruntime-node, each in its own process: one waits while the other is measured. */
export interface Sides {
  /** Path of the manifest, and the backend that must run it. */
  readonly manifest: string
  readonly backend: BackendName
  readonly model: BenchModel
  /** How our engine is loaded. */
  readonly options?: LoadOptions | undefined
}

/** Measures both sides in turn; by default, the peer does the same as we. */
export async function sideBySide(
  { manifest, backend, model, options }: Sides,
  rounds: number,
  ours: SideRequest,
  peer: SideRequest = ours,
): Promise<{ ours: number; peer: number }> {
  const [a, b] = [openSide(manifest, model, backend, options), openSide(model.file, model)]
  try {
    return await inTurn(
      rounds,
      () => a.measure(ours),
      () => b.measure(peer),
    )
  } finally {
    a.close()
    b.close()
  }
}

export interface Side {
  measure(request: SideRequest): Promise<number>
  close(): void
}

/** Starts a side: a manifest with the backend that must run it, or an .onnx file for onnxruntime-node. */
export function openSide(file: string, { input, dims }: BenchModel, backend = '', options: LoadOptions = {}): Side {
  const loadOptions = JSON.stringify({ ...(backend && { require: backend }), ...options })
  const child = startMeasured(new URL('./side-child.js', import.meta.url), {
    args: [file, input, dims.join('x'), loadOptions],
    env: childEnvironment(),
  })
  return { measure: (request) => child.ask<number>(request), close: () => child.close() }
}

import { OnnxEngineError } from '../../../runtime/errors.ts'
import type { BackendName } from '../../../runtime/manifest.ts'
import { saturatesInt8 } from '../../../runtime/onnxruntime/cpu.ts'
import type { CalibrationMethod } from '../../options/sample-types.ts'
import { type FoundSamples, modelSamples } from '../../samples/find.ts'
import type { PassRequest } from '../pass.ts'
import type { Placement } from './backend-rules.ts'

/** Everything that decides an int8 graph besides the model. */
export interface Int8Plan {
  readonly placement: Placement
  readonly samples: FoundSamples
  /** Undefined: the method whose engine comes closest to fp32 on a few of the samples. */
  readonly method: CalibrationMethod | undefined
  /** Largest stored magnitude of a weight: 127, or 63 for 7 bits. */
  readonly levels: 127 | 63
  /**
   * The levels while methods are tried: those of the engine for this CPU, so that its portable engine uses the same
   * method.
   */
  readonly tried: 127 | 63
}

/** One way to quantize a graph. */
export interface Way {
  readonly method: CalibrationMethod
  /** Whether channels between convolutions are scaled first: equalize.ts. */
  readonly equalize: boolean
  /** Whether biases make up for the mean error of int8: correct-biases.ts. */
  readonly correct: boolean
}

/** Everything that decides an int8 graph besides the model, the way included. */
export type WayPlan = Omit<Int8Plan, 'method'> & Way

/**
 * Finds the samples and settles method and levels.
 *
 * @throws OnnxEngineError SAMPLES_INVALID without the option `calibration`
 */
export async function planInt8(request: PassRequest, placement: Placement): Promise<Int8Plan> {
  const samples = await modelSamples(request)
  if (samples)
    return {
      placement,
      samples,
      method: request.options.calibration?.method,
      levels: levelsOf(request),
      tried: anyCpu.has(request.backend) && saturatesInt8() ? 63 : 127,
    }
  throw new OnnxEngineError('SAMPLES_INVALID', `${request.name}: engine=int8`, {
    expected: `calibration samples, from the option 'calibration'`,
    received: 'none',
    hint:
      `Set calibration: './samples/*.npy' (or a module, or images) for this model, ` +
      'or import it with ?engine=int8-weights, which needs none',
  })
}

const anyCpu: ReadonlySet<BackendName> = new Set<BackendName>(['onnxruntime', 'openvino'])

// An x64 CPU without VNNI adds two products of uint8 and int8 in 16 bits, which 7-bit weights never overflow. A
// portable engine may run on such a CPU.
function levelsOf({ backend, label, options }: PassRequest): 127 | 63 {
  if (!anyCpu.has(backend)) return 127
  const portable = backend === 'onnxruntime' && (label === 'portable' || options.onnxruntime.optimization !== 'all')
  return portable || saturatesInt8() ? 63 : 127
}

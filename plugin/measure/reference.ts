import type { Available, Probe } from '../backend/contract.ts'
import { onnxruntime, type OnnxruntimeDetail } from '../backend/onnxruntime/backend.ts'
import type { SampleRequest } from '../samples/request.ts'

/** The ONNX Runtime that computes the fp32 model: every measurement compares with its numbers. */
export type Reference = Available<OnnxruntimeDetail>

/** Looks for the ONNX Runtime of the app. */
export function findReference({ options, root }: SampleRequest): Promise<Probe<OnnxruntimeDetail>> {
  return onnxruntime.probe(options, root)
}

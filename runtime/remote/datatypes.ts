import type { DType } from '../dtype.ts'

/** The fields of `InferTensorContents` in the gRPC form of the protocol, as the descriptor names them. */
export type ContentsField =
  | 'boolContents'
  | 'intContents'
  | 'int64Contents'
  | 'uintContents'
  | 'uint64Contents'
  | 'fp32Contents'
  | 'fp64Contents'
  | 'bytesContents'

/** A dtype in the Open Inference Protocol. */
export interface Datatype {
  readonly name: string
  /** Where a server puts elements that are not raw bytes; undefined where it can only send raw bytes. */
  readonly contents: ContentsField | undefined
}

/**
 * The Open Inference Protocol's name of each dtype. Source: kserve/open-inference-protocol, "Tensor Data Types"; BF16
 * is from Triton's extension. FP16 and BF16 have no JSON form.
 */
export const datatypes: { readonly [D in DType]: Datatype } = {
  bool: { name: 'BOOL', contents: 'boolContents' },
  uint8: { name: 'UINT8', contents: 'uintContents' },
  uint16: { name: 'UINT16', contents: 'uintContents' },
  uint32: { name: 'UINT32', contents: 'uintContents' },
  uint64: { name: 'UINT64', contents: 'uint64Contents' },
  int8: { name: 'INT8', contents: 'intContents' },
  int16: { name: 'INT16', contents: 'intContents' },
  int32: { name: 'INT32', contents: 'intContents' },
  int64: { name: 'INT64', contents: 'int64Contents' },
  float16: { name: 'FP16', contents: undefined },
  bfloat16: { name: 'BF16', contents: undefined },
  float32: { name: 'FP32', contents: 'fp32Contents' },
  float64: { name: 'FP64', contents: 'fp64Contents' },
  string: { name: 'BYTES', contents: 'bytesContents' },
}

/** The dtype of a name in the protocol, or undefined when there is none. */
export function dtypeOfDatatype(name: string): DType | undefined {
  const dtypes = Object.keys(datatypes) as DType[]
  return dtypes.find((dtype) => datatypes[dtype].name === name)
}

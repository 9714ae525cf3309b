export { dtypes, type DType } from './dtype.ts'
export { errorCodes, OnnxEngineError, type ErrorCode } from './errors.ts'
export { loadModel } from './load.ts'
export type {
  BackendName,
  Binding,
  Bindings,
  Dim,
  FileUrl,
  ModelManifest,
  Precision,
  Requirements,
  VariantManifest,
} from './manifest.ts'
export { createModel } from './model.ts'
export type { LoadOptions } from './options.ts'
export type { InferOptions } from './session.ts'
export { tensor } from './types.ts'
export type * from './types.ts'

export { dtypes, type DType } from './dtype.ts'
export { errorCodes, OnnxEngineError, type ErrorCode } from './errors.ts'
export type { BackendName, Binding, Bindings, Dim, ModelManifest, Precision, Requirements, VariantManifest } from './manifest.ts'

// What an app imports at run time, `unplugin-onnx/runtime`: models of manifests that the plugin or compile() wrote. A
// model chooses a variant that the machine can run (open-variant.ts), opens it with the runner of its backend (a folder
// each: onnxruntime/, openvino/, tensorrt/) and checks the inputs of every call (check-inputs.ts). Importing a model
// loads no engine library: that happens at load() or the first infer().
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

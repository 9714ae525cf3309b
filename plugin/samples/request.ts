import type { Store } from '../cache/store.ts'
import type { Model } from '../onnx/model.ts'
import type { CompileOptions } from '../options/schema.ts'

/** What is needed to find the samples of a model and to run it on them. */
export interface SampleRequest {
  /** Display name of the model, for messages. */
  readonly name: string
  readonly model: Model
  /** The model as an earlier stage rewrote it: what is measured, instead of `model.file`. */
  readonly graphFile?: string | undefined
  readonly options: CompileOptions
  /** Folder of the app: samples and libraries are searched from here. */
  readonly root: string
  /** Keeps results that are costly to find, such as calibrated ranges: `getOrBuild` takes any key. */
  readonly store: Store
  readonly signal?: AbortSignal | undefined
}

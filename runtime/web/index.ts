// What an app imports in a page: the same names as `unplugin-onnx/runtime` of Node.js, which bundlers for browsers
// resolve to this file. It must not import anything of Node.js. A model is opened in one worker of the page
// (engine-worker.ts, worker-main.ts), by onnxruntime-web; open-in-page.ts chooses the variant, fetch-file.ts brings and
// verifies the files, session.ts sends the calls.
import { OnnxEngineError } from '../errors.ts'
import type { ModelManifest } from '../manifest.ts'
import { modelOf } from '../open-model.ts'
import type { Model } from '../types.ts'
import type { WebLibrary } from './library.ts'
import { openInPage } from './open-in-page.ts'

export { dtypes, type DType } from '../dtype.ts'
export { errorCodes, OnnxEngineError, type ErrorCode } from '../errors.ts'
export type { InferOptions } from '../session.ts'
export { tensor } from '../types.ts'
export type * from '../types.ts'

/**
 * The model of a manifest in a page: what a generated module calls. Does nothing until load() or infer(): the library
 * and the engine are fetched then.
 */
export function createModel(manifest: ModelManifest, library: WebLibrary): Model {
  return modelOf(manifest, (onProgress) => openInPage(manifest, library, onProgress))
}

/** Models of files are for Node.js. Rejects with UNSUPPORTED_TARGET. */
export async function loadModel(): Promise<never> {
  throw new OnnxEngineError('UNSUPPORTED_TARGET', 'loadModel()', {
    expected: 'Node.js, which reads files',
    received: 'a page',
    hint: `Import the model in the code of the page: import pose from './pose.onnx?engine=fp32'`,
  })
}

import type { ModelManifest } from './manifest.ts'
import { modelOf } from './open-model.ts'
import { openPreferred } from './open-preferred.ts'
import { checkLoadOptions, type LoadOptions } from './options.ts'
import type { Model } from './types.ts'

/**
 * The model of a manifest. Does nothing until load() or infer(): engines, workers and libraries are opened then. Throws
 * OPTION_INVALID.
 */
export function createModel(manifest: ModelManifest, options: LoadOptions = {}, folder = '.'): Model {
  const checked = checkLoadOptions(manifest.name, options)
  return modelOf({ ...manifest, dims: checked.dims }, () => openPreferred(manifest, folder, checked))
}

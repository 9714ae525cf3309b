import type { ModelManifest } from '../../runtime/manifest.ts'
import { createModel } from '../../runtime/model.ts'
import type { Model } from '../../runtime/types.ts'

const models = new Map<string, Model>()

/** The model object of this thread for an id: import and require(), whose modules differ, give the same one. */
export function sharedModel(id: string, manifest: ModelManifest): Model {
  const model = models.get(id) ?? createModel(manifest)
  models.set(id, model)
  return model
}

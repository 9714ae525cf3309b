import { pathToFileURL } from 'node:url'
import type { Model } from '../../runtime/types.ts'
import { compileSync } from './compile-sync.ts'
import { keepModel } from './keep-model.ts'
import { importOf, modelUrl } from './model-url.ts'
import { sharedModel } from './shared-model.ts'
import { readStart } from './start-record.ts'

/** What `require()` gives for a model: the namespace of its module. */
export interface ModelNamespace {
  readonly __esModule: true
  readonly default: Model
}

const namespaces = new Map<string, ModelNamespace>()

/** The namespace of a model; undefined for requests that mean no model. `from` is the path of the module that asks. */
export function requireModel(request: string, from: string | null | undefined): ModelNamespace | undefined {
  const url = modelUrl(request, from ? pathToFileURL(from).href : undefined, () => undefined)
  const item = url === undefined ? undefined : importOf(url)
  if (url === undefined || item === undefined) return undefined
  const known = namespaces.get(url)
  if (known) return known
  const module = readStart(process.cwd(), item.id) ?? compileSync(item)
  keepModel(module)
  const namespace: ModelNamespace = { __esModule: true, default: sharedModel(item.id, module.manifest) }
  namespaces.set(url, namespace)
  return namespace
}

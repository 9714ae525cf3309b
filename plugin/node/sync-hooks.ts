import { compileSync } from './compile-sync.ts'
import { keepModel } from './keep-model.ts'
import { importOf, modelUrl } from './model-url.ts'
import { moduleSource } from './module-source.ts'
import { readStart } from './start-record.ts'

// Hooks for module.registerHooks(), in the thread that imports: they serve import and require().

/** The types of Node.js 20 do not have them. */
export interface SyncHooks {
  resolve(specifier: string, context: ResolveContext, next: NextResolve): ResolveResult
  load(url: string, context: object, next: (url: string, context: object) => LoadResult): LoadResult
}

export const syncHooks: SyncHooks = {
  resolve(specifier, context, next) {
    const url = modelUrl(specifier, context.parentURL, (name) => urlOrUndefined(() => next(name, context).url))
    return url === undefined ? next(specifier, context) : { url, format: 'module', shortCircuit: true }
  },
  load(url, context, next) {
    const item = importOf(url)
    if (item === undefined) return next(url, context)
    const module = readStart(process.cwd(), item.id) ?? compileSync(item)
    keepModel(module)
    return { format: 'module', source: moduleSource(item, module), shortCircuit: true }
  },
}

interface ResolveContext {
  readonly parentURL?: string | undefined
}

interface ResolveResult {
  readonly url: string
  readonly format?: string | null | undefined
  readonly shortCircuit?: boolean | undefined
}

interface LoadResult {
  readonly format: string | null | undefined
  readonly source?: unknown
  readonly shortCircuit?: boolean | undefined
}

type NextResolve = (specifier: string, context: ResolveContext) => ResolveResult

function urlOrUndefined(resolveNext: () => string): string | undefined {
  try {
    return resolveNext()
  } catch {
    return undefined
  }
}

import type { LoadFnOutput, LoadHook, ResolveFnOutput, ResolveHook } from 'node:module'
import type { MessagePort } from 'node:worker_threads'
import { OnnxEngineError, recordError } from '../../runtime/errors.ts'
import { importOf, modelUrl, type NodeImport } from './model-url.ts'
import { errorSource, moduleSource } from './module-source.ts'
import { type CompiledModule, readStart } from './start-record.ts'

/** Resolves an import that looks like a model's. An error becomes the URL of a module that throws it. */
export async function resolveModelImport(
  ...[specifier, context, next]: Parameters<ResolveHook>
): Promise<ResolveFnOutput> {
  let url: string | undefined
  try {
    url = modelUrl(specifier, context.parentURL, () => undefined)
  } catch (error) {
    if (!(error instanceof OnnxEngineError)) throw error
    // An alias that another hook knows, such as the `paths` of tsx.
    const found = await Promise.resolve(next(specifier.split('?', 1)[0] ?? '', context)).catch(() => undefined)
    const isAlias = error.code === 'MODEL_NOT_FOUND' && found !== undefined
    url = isAlias ? modelUrl(specifier, context.parentURL, () => found.url) : errorUrl(error)
  }
  return url === undefined ? next(specifier, context) : { url, format: 'module', shortCircuit: true }
}

/** Loads what `resolveModelImport` resolved. `port` receives the models. */
export async function loadModelImport(
  port: MessagePort | undefined,
  ...[url, context, next]: Parameters<LoadHook>
): Promise<LoadFnOutput> {
  if (url.startsWith(errorScheme)) return loaded(decodeURIComponent(url.slice(errorScheme.length)))
  const item = importOf(url)
  if (item === undefined) return next(url, context)
  try {
    const module = readStart(process.cwd(), item.id) ?? (await compile(item))
    port?.postMessage(module)
    return loaded(moduleSource(item, module))
  } catch (error) {
    return loaded(errorSource(recordError(error, 'COMPILE_FAILED')))
  }
}

function loaded(source: string): LoadFnOutput {
  return { format: 'module', source, shortCircuit: true }
}

const errorScheme = 'unplugin-onnx-error:'

function errorUrl(error: OnnxEngineError): string {
  return errorScheme + encodeURIComponent(errorSource(recordError(error, error.code)))
}

async function compile(item: NodeImport): Promise<CompiledModule> {
  const { compileModule, finishCompilation } = await import('./compile-module.ts')
  const module = await compileModule(item)
  void finishCompilation(item, module).catch(() => {})
  return module
}

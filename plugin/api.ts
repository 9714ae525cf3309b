/**
 * The functions of the package's main entry: compile a model without a bundler, and write its engines and manifest for
 * `loadModel` of the runtime.
 */
import { resolve } from 'node:path'
import { layersFile } from './backend/layers.ts'
import { modelManifest } from './compile/manifest.ts'
import type { CompileContext } from './compile/request.ts'
import type { Compiled } from './compile/variant.ts'
import { type EngineAsset, engineAsset } from './emit/asset.ts'
import { copyEngine } from './emit/copy-engine.ts'
import { orOutputFailed } from './emit/output.ts'
import { replaceFile } from './files/replace-file.ts'
import { listedProfiles } from './options/listed-profiles.ts'
import { modelId } from './options/query.ts'
import { appOptions, compileOptions } from './options/resolve.ts'
import type { CompileOptions } from './options/schema.ts'
import { engineBackends } from './options/served-variant.ts'
import type { Options } from './options/types.ts'

/**
 * Compiles one model as the plugin does, through the same cache, without a bundler. `file` is relative to the current
 * folder. Without options, those of `unplugin-onnx.config.ts` apply. Options under `models` apply when their glob
 * matches. `log` receives a line for each engine.
 *
 * @throws OnnxEngineError OPTION_INVALID and any code of a build; docs/errors.md lists them.
 */
export async function compile(
  file: string,
  user?: Options,
  context: Partial<Omit<CompileContext, 'store'>> = {},
): Promise<Compiled> {
  const resolved = appOptions(user).options
  const { log = () => {}, warn = console.warn, verbose = resolved.verbose, ...others } = context
  const path = resolve(file)
  const options = compileOptions(resolved, { file: path, query: {} })
  // Loaded late: this module is part of the package's main entry, which bundlers load for their plugin.
  const [{ openStore }, { compileModel }] = await Promise.all([
    import('./cache/store.ts'),
    import('./compile/model.ts'),
  ])
  const store = openStore({ ...resolved.cache, frozen: resolved.frozen, warn })
  const compiled = await compileModel(
    { file: path, query: queryOf(options), options, convert: resolved.convert, root: resolved.root },
    { ...others, store, log, warn, verbose },
  )
  await store.collect()
  return compiled
}

/**
 * Writes the engines of a compiled model and the manifest that `loadModel` of the runtime reads. The layers of an
 * engine, if its compiler listed them, are in `<engine>.layers.json`. Returns the path of the manifest, `<name>.json`.
 * The manifest is written last, so that it never names an engine that is not there yet. Throws OUTPUT_FAILED for a
 * folder that cannot be created or written.
 */
export async function writeModel(compiled: Compiled, folder: string): Promise<string> {
  const assets = engineAssets(compiled)
  for (const asset of assets) await copyEngine(asset, folder)
  for (const [index, { layers }] of compiled.variants.entries()) {
    if (!layers) continue
    const file = layersFile(resolve(folder, assets[index]!.name))
    await orOutputFailed(folder, () => replaceFile(file, `${JSON.stringify(layers, null, 2)}\n`))
  }
  const manifest = resolve(folder, `${compiled.name}.json`)
  const names = assets.map(({ name }) => name)
  const text = `${JSON.stringify(modelManifest(compiled, names), null, 2)}\n`
  await orOutputFailed(folder, () => replaceFile(manifest, text))
  return manifest
}

/** The files that `writeModel` writes: engines, and the manifest last. */
export function writtenFiles(compiled: Compiled, folder: string): readonly string[] {
  const names = engineAssets(compiled).map(({ name }) => name)
  return [...new Set([...names, `${compiled.name}.json`])].map((name) => resolve(folder, name))
}

function engineAssets(compiled: Compiled): readonly EngineAsset[] {
  return compiled.variants.map((variant) => engineAsset(compiled.name, variant))
}

/**
 * These options, written as a query: there is no import, and they name the engine's history in the cache. Calls with
 * different options do not explain each other's misses.
 */
export function queryOf(options: CompileOptions): string {
  const { engine, precision, backends, targets, outputs, shapes } = options
  const { io } = precision
  const query = {
    engine,
    ...(io !== 'fp32' && { io }),
    ...(backends !== 'auto' && { backend: engineBackends(backends) }),
    ...(targets.length > 0 && { target: targets }),
    ...(outputs.length > 0 && { outputs }),
    ...(Object.keys(shapes).length > 0 && { shapes }),
  }
  return [query, ...listedProfiles(options)].map((part) => modelId({ file: '', query: part }).text).join('')
}

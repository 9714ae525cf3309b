/**
 * Engines and modules on their way into the output of a bundler. asset.ts names engines, copy-engine.ts copies them,
 * module.ts writes the module of a model, location.ts the expression that finds an engine from a chunk. rollup.ts,
 * webpack.ts, file-loader.ts (esbuild and Bun) and farm.ts each bring engines into the output of one family.
 * standalone.ts copies the runtime.
 */
import { pathToFileURL } from 'node:url'
import { backendNames } from '../../runtime/manifest.ts'
import type { Variant } from '../compile/variant.ts'
import type { EngineCode } from './location.ts'

/** An engine on its way into a bundle. */
export interface EngineAsset {
  /** Name in the output: the model, the backend and a part of the engine's key, all of it ASCII. */
  readonly name: string
  /** Absolute path of the bytes in the cache. */
  readonly source: string
  /** Bytes. */
  readonly size: number
  /** Lower-case hex SHA-256 of the bytes. */
  readonly sha256: string
}

/**
 * The engine of a variant with a name of our own that contains a hash: bundlers hash differently, or not at all in
 * library builds, and the name must be known when the module is written. The hash is that of the cache key: it changes
 * with everything that an engine is made of, and stays when the same engine is compiled again, whose bytes may differ.
 * The name has only characters that need no escape in a URL, in a path and in the `\w` of a regular expression.
 */
export function engineAsset(model: string, { backend, extension, artifact }: Variant): EngineAsset {
  const { file, size, sha256, key } = artifact
  return {
    name: `${model.replace(/[^\w-]+/g, '_')}-${backend}-${key.digest.slice(0, 10)}${extension}`,
    source: file,
    size,
    sha256,
  }
}

const engineName = new RegExp(String.raw`/(?<name>[\w-]+-(?:${backendNames.join('|')})-[0-9a-f]{10}\.\w+)["'\`]`, 'g')

/** The names of engines in a folder of this name that code refers to. */
export function engineNames(code: string, folder: string): readonly string[] {
  return [...code.matchAll(engineName)].flatMap(({ index, groups }) =>
    code.slice(0, index).endsWith(`/${encodeURIComponent(folder)}`) ? [groups?.['name'] ?? ''] : [],
  )
}

/** For dev servers and test runners, which write no bundle: the engine stays in the cache. */
export function cachedEngine({ source }: EngineAsset): EngineCode {
  return { location: JSON.stringify(pathToFileURL(source).href) }
}

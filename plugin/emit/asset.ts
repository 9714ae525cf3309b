import { constants, copyFile, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, posix, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { MagicString } from 'magic-string'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { makeFolder } from '../../runtime/make-folder.ts'
import type { Variant } from '../compile.ts'
import { writing } from './output.ts'

/** An engine on its way into a bundle. */
export interface EngineAsset {
  /** Name in the output: the model, the backend and the hash of the engine's own bytes, all of it ASCII. */
  readonly name: string
  /** Absolute path of the bytes in the cache. */
  readonly source: string
}

/** What stands for an engine in the module of its model. */
export interface EngineCode {
  /** JavaScript expression for the engine's URL. */
  readonly location: string
  /** Statement that the expression needs at the top of the module. */
  readonly prelude?: string
}

/**
 * Our own content-hashed name, because bundlers hash differently, or not at all in library builds, and because a name
 * must be known when the module is made. Only characters that need no escape in a URL, in a path and in a regular
 * expression's `\w`.
 */
export function engineAsset(model: string, { backend, extension, artifact }: Variant): EngineAsset {
  return {
    name: `${model.replace(/[^\w-]+/g, '_')}-${backend}-${artifact.sha256.slice(0, 10)}${extension}`,
    source: artifact.file,
  }
}

/**
 * Copies an engine to the place it is shipped from. Whole or not at all: a reader never sees a part. A file of that
 * name and size is the engine already, because the name has the hash of its bytes; a watcher need not write gigabytes
 * again.
 *
 * @throws OnnxEngineError OUTPUT_FAILED
 */
export async function copyEngine({ name, source }: EngineAsset, folder: string): Promise<void> {
  const target = join(folder, name)
  if ((await sizeOf(target)) === (await sizeOf(source))) return
  const temporary = `${target}.${process.pid}.tmp`
  await writing(folder, async () => {
    await makeFolder(folder)
    try {
      await copyFile(source, temporary, constants.COPYFILE_FICLONE)
      await rename(temporary, target)
    } finally {
      await rm(temporary, { force: true })
    }
  })
}

/** Dev servers and test runners do not write a bundle: the engine is used where it lies in the cache. */
export function cachedEngine({ source }: EngineAsset): EngineCode {
  return { location: JSON.stringify(pathToFileURL(source).href) }
}

/**
 * Rollup, Rolldown and builds of Vite. A module cannot know which chunk it ends in, and Vite removes assets of server
 * builds and rewrites URLs that it knows: so a module carries a placeholder, `renderChunk` puts the location in its
 * place, relative to the chunk, and the engines that chunks really use follow after every other plugin, into `folder`
 * of the output, whose path `writesTo` is told.
 */
export function rollupAssets(folder: string, writesTo: (output: string | undefined) => void): RollupAssets {
  // Kept from build to build: a watcher loads only the modules that changed.
  const sources = new Map<string, string>()
  return {
    engine({ name, source }) {
      sources.set(name, source)
      return { location: JSON.stringify(`__ONNX_ENGINE_${name}__`) }
    },
    hooks: {
      renderChunk: {
        filter: { code: /__ONNX_ENGINE_/ },
        async handler(code, chunk, { format, sourcemap }) {
          if (!code.includes('__ONNX_ENGINE_')) return null
          const locationOf = (_text: string, _quote: string, name: string): string => {
            const path = posix.relative(posix.dirname(chunk.fileName), posix.join(folder, name))
            return locate(format, JSON.stringify(format === 'es' ? relativeUrl(path) : path))
          }
          if (!sourcemap) return { code: code.replace(placeholder, locationOf), map: null }
          const { MagicString } = await import('magic-string')
          const edited = new MagicString(code).replace(placeholder, locationOf)
          return { code: edited.toString(), map: edited.generateMap({ hires: 'boundary' }) }
        },
      },
      generateBundle: {
        order: 'post',
        async handler({ dir, file }, bundle, isWrite) {
          if (sources.size === 0) return
          const chunks = Object.values(bundle).map((output) => output.code ?? '')
          const output = resolve(dir ?? dirname(file ?? ''))
          writesTo(isWrite ? output : undefined)
          const used = Array.from(sources, ([name, source]) => ({ name, source })).filter(({ name }) =>
            chunks.some((code) => code.includes(name)),
          )
          const taken = used
            .map(({ name }) => posix.join(folder, name))
            .find((fileName) => bundle[fileName] !== undefined)
          if (taken !== undefined) throw nameTaken(taken)
          // Copied, an engine of any size takes no memory; Rolldown would hold two copies of what it is to emit.
          if (isWrite) await Promise.all(used.map((asset) => copyEngine(asset, join(output, folder))))
          else
            for (const { name, source } of used)
              this.emitFile({ type: 'asset', fileName: posix.join(folder, name), source: await readFile(source) })
        },
      },
    },
  }
}

export interface RollupAssets {
  engine(asset: EngineAsset): EngineCode
  readonly hooks: {
    readonly renderChunk: {
      readonly filter: { readonly code: RegExp }
      handler(
        code: string,
        chunk: { readonly fileName: string },
        options: { readonly format: string; readonly sourcemap?: unknown },
      ): Promise<RenderedChunk | null>
    }
    readonly generateBundle: {
      readonly order: 'post'
      handler(this: RollupContext, options: RollupOutput, bundle: RollupBundle, isWrite: boolean): Promise<void>
    }
  }
}

export interface RenderedChunk {
  readonly code: string
  readonly map: ReturnType<MagicString['generateMap']> | null
}

export interface RollupOutput {
  readonly dir?: string
  readonly file?: string
}

export type RollupBundle = Readonly<Record<string, { readonly type: string; readonly code?: string }>>

/** The part of the plugin context that Rollup, Rolldown and Vite share. */
export interface RollupContext {
  emitFile(asset: { readonly type: 'asset'; readonly fileName: string; readonly source: Uint8Array }): unknown
}

/** The part of a loader's context that webpack and Rspack share. */
export interface WebpackLoader {
  emitFile(name: string, content: Buffer, sourceMap?: undefined, info?: { readonly immutable: boolean }): void
}

/**
 * webpack and Rspack. Assets that the loader emits are kept with the module in persistent caches.
 * `__webpack_base_uri__` is the folder of the output in every chunk and format, whatever `publicPath` says, which is
 * for browsers.
 */
export async function webpackEngine(
  { name, source }: EngineAsset,
  folder: string,
  loader: WebpackLoader,
): Promise<EngineCode> {
  const path = posix.join(folder, name)
  loader.emitFile(path, await readFile(source), undefined, { immutable: true })
  return { location: `new URL(${JSON.stringify(relativeUrl(path))}, __webpack_base_uri__)` }
}

/** The part of a build that esbuild and Bun share. */
export interface FileLoaderBuild {
  onResolve(
    options: { readonly filter: RegExp },
    callback: (args: { readonly path: string }) => { readonly path: string; readonly namespace: string },
  ): void
  onLoad(
    options: { readonly filter: RegExp; readonly namespace: string },
    callback: (args: {
      readonly path: string
    }) => Promise<{ readonly contents: string | Uint8Array; readonly loader: 'js' | 'file' }>,
  ): void
}

export interface FileLoaderAssets {
  engine(asset: EngineAsset, index: number): EngineCode
  setup(build: FileLoaderBuild, output: { readonly format: string; readonly publicPath?: string }): void
}

/**
 * esbuild and Bun. Their own `file` loader knows the chunk that a file is used in, hashes its name, and lists it in the
 * metafile and among the output files that `write: false` gives. The path it gives is right only in the chunk of the
 * file: so each file has a module of its own that makes the URL, and that no chunk can part from it.
 */
export function fileLoaderAssets(): FileLoaderAssets {
  const [engines, files] = ['unplugin-onnx-engine', 'unplugin-onnx-file']
  const sources = new Map<string, string>()
  return {
    engine({ name, source }, index) {
      sources.set(name, source)
      return {
        prelude: `import engine${index} from ${JSON.stringify(`${engines}:${name}.js`)}`,
        location: `engine${index}`,
      }
    },
    setup(build, { format, publicPath = '' }) {
      build.onResolve({ filter: /^unplugin-onnx-(?:engine|file):/ }, ({ path }) => {
        const colon = path.indexOf(':')
        return { namespace: path.slice(0, colon), path: path.slice(colon + 1) }
      })
      build.onLoad({ filter: /^/, namespace: engines }, async ({ path }) => {
        // Bun tells modules apart by their paths alone, hence the '.js'. The loader writes `publicPath`, which is for
        // browsers, before the name.
        const file = publicPath === '' ? 'file' : `"./" + file.slice(${publicPath.replace(/\/?$/, '/').length})`
        const contents = `import file from ${JSON.stringify(`${files}:${path.slice(0, -'.js'.length)}`)}\nexport default /* @__PURE__ */ ${locate(format === 'esm' ? 'es' : format, file)}`
        return { contents, loader: 'js' }
      })
      build.onLoad({ filter: /^/, namespace: files }, async ({ path }) => ({
        contents: await readFile(sources.get(path) ?? path),
        loader: 'file',
      }))
    },
  }
}

/**
 * Farm, whose plugins can emit an asset only as an array of numbers: the engine is copied beside the output. Farm would
 * take a literal `new URL('./x', import.meta.url)` for an asset of its own.
 */
export async function copiedEngine(asset: EngineAsset, folder: string, output: string): Promise<EngineCode> {
  await copyEngine(asset, join(output, folder))
  return {
    prelude: 'const base = import.meta.url',
    location: `new URL(${JSON.stringify(relativeUrl(posix.join(folder, asset.name)))}, base)`,
  }
}

function nameTaken(file: string): OnnxEngineError {
  return new OnnxEngineError('OUTPUT_FAILED', `output file '${file}'`, {
    expected: 'a name that nothing else in the output has',
    received: 'the name of an engine and of an asset of another plugin',
    hint: `Choose another folder for engines by the option 'assetsDir'`,
  })
}

async function sizeOf(file: string): Promise<number | undefined> {
  return (await stat(file).catch(() => undefined))?.size
}

// Minifiers change the quotes.
const placeholder = /(["'`])__ONNX_ENGINE_(?<name>[\w.-]+?)__\1/g

/** A location from a JavaScript expression for the path from the chunk's own folder. */
function locate(format: string, path: string): string {
  switch (format) {
    case 'es':
      return `new URL(${path}, import.meta.url)`
    case 'cjs':
      return `require("node:url").pathToFileURL(require("node:path").join(__dirname, ${path}))`
    default:
      throw new OnnxEngineError('UNSUPPORTED_TARGET', 'output format', {
        expected: 'an ES module or CommonJS',
        received: `'${format}'`,
        hint: 'Models run in Node.js, which loads these two formats',
      })
  }
}

function relativeUrl(path: string): string {
  const url = path.split('/').map(encodeURIComponent).join('/')
  return url.startsWith('.') ? url : `./${url}`
}

import { copyFileSync, mkdirSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { dirname, extname, join } from 'node:path'
import { type PreRenderedChunk, rolldown } from 'rolldown'
import { chunksOf } from './chunks.ts'
import { isScript, placeOf } from './entries.ts'
import { withoutFacades } from './facades.ts'
import { keepPlaces } from './places.ts'
import { keepTraces } from './traces.ts'
import { bundledUnplugin, unpluginLoaders } from './unplugin.ts'

export interface BundleRequest {
  /** What tsc wrote. */
  readonly dist: string
  /** The `dist` of the package. */
  readonly output: string
  /** Files of `dist` that keep their place: what is imported by a name or opened by its place. */
  readonly entries: readonly string[]
  /** Names of packages that stay outside. */
  readonly external: ReadonlySet<string>
  /** The folder of unplugin, if the package has it inside. */
  readonly unplugin?: string
}

/**
 * Bundles entries with the packages that they use. Each entry keeps its place, and what several share or load late is
 * in chunks. CommonJS and files that are no scripts are copied. Returns the modules that are inside.
 */
export async function bundle(request: BundleRequest): Promise<readonly string[]> {
  const { dist, output, external, unplugin } = request
  const entries = request.entries.filter(isModule)
  for (const file of request.entries) if (!isModule(file)) copy(join(dist, file), join(output, file))
  const build = await rolldown({
    input: {
      ...Object.fromEntries(entries.map((file) => [file.slice(0, -extname(file).length), join(dist, file)])),
      ...(unplugin !== undefined && unpluginLoaders(unplugin)),
    },
    platform: 'node',
    preserveEntrySignatures: 'allow-extension',
    external: (id) => isBuiltin(id) || external.has(packageName(id)),
    plugins: [
      keepPlaces(dist),
      withoutFacades,
      keepTraces(),
      ...(unplugin === undefined ? [] : [bundledUnplugin(unplugin)]),
    ],
    checks: { ineffectiveDynamicImport: false },
    onLog(level, log, report) {
      if (level === 'warn') report('error', log)
    },
  })
  const written = await build.write({
    dir: output,
    format: 'es',
    entryFileNames: ({ name, facadeModuleId }) => `${name}${extname(facadeModuleId ?? '.js')}`,
    chunkFileNames: (chunk) => `${chunk.name.includes('/') ? '' : lateFolder(dist, chunk)}${chunk.name}.js`,
    codeSplitting: {
      includeDependenciesRecursively: false,
      groups: [{ name: chunksOf({ dist, entries }), debugName: 'chunks' }],
    },
    minify: false,
  })
  await build.close()
  const chunks = written.output.filter((file) => file.type === 'chunk')
  for (const { fileName, imports } of chunks)
    if (fileName.startsWith('runtime/') && imports.some((file) => file.startsWith('plugin/')))
      throw new Error(`${fileName} of the runtime imports ${imports.join(', ')}`)
  return chunks.flatMap(({ moduleIds }) => moduleIds)
}

// What is loaded by `import()`, and the bundler's own functions. The runtime's are in its own folder, which is copied
// without the plugin's.
function lateFolder(dist: string, { facadeModuleId, moduleIds }: PreRenderedChunk): string {
  const places = [facadeModuleId ?? [], ...moduleIds].flat().map((id) => placeOf(dist, id))
  return places.some((place) => place.startsWith('plugin/') || place.includes('/node_modules/'))
    ? 'plugin/late/'
    : 'runtime/late/'
}

function isModule(file: string): boolean {
  return isScript(file) && extname(file) !== '.cjs'
}

/** `@scope/name` of `@scope/name/file`. */
function packageName(id: string): string {
  return id.split('/', id.startsWith('@') ? 2 : 1).join('/')
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true })
  copyFileSync(from, to)
}

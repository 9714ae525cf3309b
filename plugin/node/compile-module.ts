import { writeSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { modelManifest } from '../compile/manifest.ts'
import type { Logger } from '../project/logger.ts'
import { openProject, type Project } from '../project/project.ts'
import type { NodeImport } from './model-url.ts'
import { type CompiledModule, writeStart } from './start-record.ts'

let opened: Project | undefined

/** Compiles an imported model as a bundler would: through the cache, with the options and the types of the app. */
export async function compileModule({ id, specifier, importer }: NodeImport): Promise<CompiledModule> {
  const project = (opened ??= openProject(undefined))
  const files = new Set<string>()
  const logger = openLogger()
  project.buildStart()
  try {
    // The text of the import is resolved again, so that its types are written and messages name the importer.
    const text = (await project.resolve(specifier, importer, undefined)) ?? id
    const hook = { ...logger, side: 'node' as const, watch: (file: string) => void files.add(file), check: () => {} }
    const compiled = await project.compile(text, hook)
    if (compiled === undefined) throw new Error(`no model: ${id}`)
    const engines = compiled.variants.map(({ artifact }) => artifact)
    const urls = engines.map(({ file }) => pathToFileURL(file).href)
    return {
      manifest: modelManifest(compiled, urls),
      files: [...files],
      digests: engines.map(({ key }) => key.digest),
      cacheDir: project.options.cache.dir,
    }
  } finally {
    await project.buildEnd(logger, false)
  }
}

/** What a compilation leaves to do, while the app goes on. */
export async function finishCompilation({ id }: NodeImport, module: CompiledModule): Promise<void> {
  await writeStart(process.cwd(), id, module)
  await opened?.written()
}

/** A compilation that finds everything in the cache prints nothing. */
function openLogger(): Logger {
  const waiting: string[] = []
  let isSilent = true
  return {
    log(line) {
      waiting.push(line)
      // Not found in the cache of this machine, or a compilation that takes seconds.
      isSilent &&= !/ {2}(?:miss|hit: )|^[^ ]*: \d+ s\b/.test(line)
      if (!isSilent) waiting.splice(0).forEach(print)
    },
    warn: print,
  }
}

// Not console.error(): from another thread it waits for the main one, which waits for this compilation.
function print(line: string): void {
  writeSync(2, `[unplugin-onnx] ${line}\n`)
}

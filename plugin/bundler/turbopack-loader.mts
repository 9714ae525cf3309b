import { resolve } from 'node:path'
import { engineAsset, cachedEngine } from '../emit/asset.ts'
import { moduleText } from '../emit/module.ts'
import { runtimePackage } from '../emit/runtime-package.ts'
import { turbopackEngine, type TurbopackFolders } from '../emit/turbopack.ts'
import type { Options } from '../options/types.ts'
import { openProject, type Project } from '../project/project.ts'
import type { Refusal } from './adapter.ts'
import { checkTarget } from './target.ts'

/** What next.ts hands to the loader, as JSON. */
export interface TurbopackOptions {
  readonly options: Options
  readonly folders: TurbopackFolders
  /** A dev server, which writes no output. */
  readonly isServer: boolean
  /** Why models cannot run in the code that this rule is for. */
  readonly refusal?: Refusal
  /** Libraries and the CPU, which change engines without a change of any file: Turbopack keeps what loaders return. */
  readonly machine: string
}

/** The part of a loader's context that Turbopack has. */
interface TurbopackLoader {
  readonly resourcePath: string
  readonly resourceQuery: string
  getOptions(): TurbopackOptions
  addDependency(file: string): void
  emitWarning(warning: Error): void
  async(): (error: unknown, code?: string) => void
}

/** Returns the module of a model before its file is read as text. */
export function pitch(this: TurbopackLoader): void {
  const done = this.async()
  loadModel(this).then((code) => done(null, code), done)
}

/** A loader must have a function of its own; `pitch` has answered before. */
export default function loader(text: string): string {
  return text
}

// A worker loads many models, and one project serves them all.
const projects = new Map<string, Project>()

async function loadModel(context: TurbopackLoader): Promise<string> {
  const { options, folders, isServer, refusal } = context.getOptions()
  const { resourcePath, resourceQuery } = context
  const key = JSON.stringify(options)
  const project = projects.get(key) ?? openProject(options)
  projects.set(key, project)
  const compiled = await project.compile(`${resourcePath}${resourceQuery || '?engine'}`, {
    log: (line) => console.warn(line),
    warn: (line) => context.emitWarning(new Error(line)),
    watch: (file) => context.addDependency(file),
    check: (file) => checkTarget(file, refusal),
    side: 'node',
  })
  if (compiled === undefined) throw new Error(`${resourcePath}${resourceQuery} is not an import of a model`)
  const assets = compiled.variants.map((variant) => engineAsset(compiled.name, variant))
  const engines = await Promise.all(
    assets.map((asset) => (isServer ? cachedEngine(asset) : turbopackEngine(asset, resolve(resourcePath), folders))),
  )
  return moduleText(compiled, engines, { runtime: runtimePackage(project.options.root).entry })
}

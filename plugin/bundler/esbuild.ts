import { dirname, resolve } from 'node:path'
import type { Metafile, PluginBuild } from 'esbuild'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { type FileLoaderAssets, fileLoaderAssets } from '../emit/file-loader.ts'
import type { Side } from '../options/build-target.ts'
import type { Project } from '../project/project.ts'
import type { BundlerAdapter, Refusal, Resolve } from './adapter.ts'
import { contextLogger, nativeContext, runtimeOf } from './context.ts'
import { checkExternals, quotedNames } from './external-packages.ts'
import { folderOf, ownQuestion } from './resolver.ts'

export function esbuildAdapter(project: Project): BundlerAdapter {
  const assets = fileLoaderAssets()
  return {
    engineCode: (_, asset, index) => assets.engine(asset, index),
    resolver: (context, importer) => esbuildResolver(nativeContext<'esbuild'>(context).build, importer),
    resolveRuntime: (side) => runtimeOf(project, side),
    logger(context) {
      const level = nativeContext<'esbuild'>(context).build.initialOptions.logLevel ?? ''
      return contextLogger(context, ['silent', 'error', 'warning'].includes(level))
    },
    side: (context) => sideOf(nativeContext<'esbuild'>(context).build),
    refusal: (context) => refusalOf(nativeContext<'esbuild'>(context).build),
    hooks: {
      esbuild: {
        setup: (build) => setUpEsbuild(build, project, assets),
      },
    },
  }
}

function setUpEsbuild(build: PluginBuild, project: Project, assets: FileLoaderAssets): void {
  const {
    absWorkingDir = process.cwd(),
    platform = 'browser',
    format = { browser: 'iife', node: 'cjs', neutral: 'esm' }[platform],
    publicPath,
    outdir,
    outfile = '',
    write = true,
    packages,
    external = [],
  } = build.initialOptions
  project.moveTo(absWorkingDir)
  const output = resolve(absWorkingDir, outdir ?? dirname(outfile))
  project.writesTo(write ? output : undefined)
  const side = project.options.platform === 'auto' ? sideOf(build) : project.options.platform
  if (publicPath && side === 'node') refuseNestedOutputs(build, output, absWorkingDir)
  // In a page, the files may be served from memory.
  const standsIn = write && side === 'node'
  assets.setup(build, { format, publicPath, side, standsIn })
  if (standsIn) atEnd(build, (outputs) => assets.fill(outputs, absWorkingDir))
  if (packages === 'external' || external.length > 0) refusePackagesWithModels(build, project)
}

/** Runs an action on the outputs of a build that has some. What it throws is an error of the build. */
function atEnd(build: PluginBuild, action: (outputs: Metafile['outputs']) => Promise<void>): void {
  build.initialOptions.metafile = true
  build.onEnd(async ({ metafile }) => {
    try {
      if (metafile) await action(metafile.outputs)
    } catch (error) {
      return { errors: [{ text: (error as Error).message, detail: error }] }
    }
    return undefined
  })
}

function esbuildResolver(build: PluginBuild, importer: string | undefined): Resolve {
  return async (specifier) => {
    const resolveDir = folderOf(importer) ?? process.cwd()
    const { path, external } = await build.resolve(ownQuestion(specifier), {
      kind: 'import-statement',
      importer,
      resolveDir,
    })
    return external ? undefined : path || undefined
  }
}

function sideOf({ initialOptions: { platform = 'browser' } }: PluginBuild): Side {
  return platform === 'browser' ? 'browser' : 'node'
}

function refusalOf(build: PluginBuild): Refusal | undefined {
  const { platform, outdir, outfile } = build.initialOptions
  if (platform === 'neutral')
    return {
      subject: `the option 'platform' of esbuild`,
      expected: `'node' or 'browser'`,
      received: `'${platform}'`,
      hint: 'Choose where the output runs',
    }
  if (outdir !== undefined || outfile !== undefined) return undefined
  return {
    subject: 'the options of esbuild',
    expected: `'outdir' or 'outfile'`,
    received: 'neither',
    hint: `The engine is a file next to the code: set a folder, also with 'write: false'`,
  }
}

/**
 * Fails a build with `publicPath` and an engine that is used in a folder below the output's: the loader then gives only
 * the public path, from which no code below can compute the place of the engine.
 */
function refuseNestedOutputs(build: PluginBuild, outdir: string, workingDir: string): void {
  build.initialOptions.metafile = true
  build.onEnd(({ metafile }) => {
    const nested = Object.entries(metafile?.outputs ?? {}).filter(
      ([file, { inputs }]) =>
        dirname(resolve(workingDir, file)) !== outdir &&
        Object.keys(inputs).some((input) => input.startsWith('unplugin-onnx-engine:')),
    )
    return { errors: nested.map(([file]) => ({ text: nestedOutput(file).message })) }
  })
}

function nestedOutput(file: string): OnnxEngineError {
  return new OnnxEngineError('UNSUPPORTED_TARGET', `the option 'publicPath' of esbuild, with a model in ${file}`, {
    expected: 'entries and chunks at the top of the output folder',
    received: 'one below it',
    hint: `Remove 'publicPath', which is for browsers, or change 'entryNames' and 'chunkNames'`,
  })
}

function refusePackagesWithModels(build: PluginBuild, project: Project): void {
  atEnd(build, async (outputs) => {
    const imports = Object.values(outputs).flatMap((output) => output.imports)
    const externals = imports.flatMap(({ path, external }) => (external ? [path] : []))
    await checkExternals(externals, { root: project.options.root, cure: bundleInEsbuild })
  })
}

function bundleInEsbuild(names: readonly string[]): string {
  return (
    `Leave ${quotedNames(names)} out of 'external'; instead of packages: 'external', ` +
    `list the packages in 'external' that are to stay outside`
  )
}

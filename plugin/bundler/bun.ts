import { resolve } from 'node:path'
import { fileLoaderAssets } from '../emit/file-loader.ts'
import { importedTexts } from '../imports/model-packages.ts'
import type { Project } from '../project/project.ts'
import type { BundlerAdapter, NativeContext, Refusal } from './adapter.ts'
import { contextLogger, nativeContext, runtimeOf } from './context.ts'
import { checkExternals, quotedNames } from './external-packages.ts'
import { nodeOnly, noPages } from './target.ts'
import { warnOfTemplate } from './template-imports.ts'

/** Bun's bundler. Plugins cannot use its resolver. */
export function bunAdapter(project: Project): BundlerAdapter {
  const assets = fileLoaderAssets()
  return {
    engineCode: (_, asset, index) => assets.engine(asset, index),
    resolveRuntime: (side) => runtimeOf(project, side),
    side: () => 'node',
    logger: contextLogger,
    refusal: (context) => noPages(project, 'Bun') ?? refusalOf(nativeContext<'bun'>(context)),
    hooks: {
      bun: {
        setup(build) {
          const { publicPath, outdir } = build.config
          project.writesTo(outdir && resolve(outdir))
          assets.setup(build, { format: 'esm', publicPath })
          // A hook for code would be called for every module, across threads: check the output instead.
          build.onEnd?.(async ({ outputs = [] }: BunResult) => {
            for (const output of outputs)
              if (/\.[cm]?js$/.test(output.path)) await checkOutput(await output.text(), project)
          })
        },
      },
    },
  }
}

async function checkOutput(code: string, { options: { root } }: Project): Promise<void> {
  warnOfTemplate(code, console.warn)
  await checkExternals(importedTexts(code), { root, cure: bundleInBun })
}

function bundleInBun(names: readonly string[]): string {
  return (
    `Leave ${quotedNames(names)} out of 'external'; instead of packages: 'external', ` +
    `list the packages in 'external' that are to stay outside`
  )
}

interface BunResult {
  readonly outputs?: readonly { readonly path: string; text(): Promise<string> }[]
}

function refusalOf({ build }: NativeContext<'bun'>): Refusal | undefined {
  const { format = 'esm', target = 'browser' } = build.config
  if (target === 'browser')
    return {
      subject: `the option 'target' of Bun`,
      expected: `'node' or 'bun'`,
      received: `'browser'`,
      hint: nodeOnly,
    }
  if (format === 'esm') return undefined
  return {
    subject: `the option 'format' of Bun`,
    expected: `'esm'`,
    received: `'${format}'`,
    hint:
      'A CommonJS bundle of Bun keeps the path of its source instead of its own: ' +
      'build an ES module, or use another bundler',
  }
}

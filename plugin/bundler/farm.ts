import { relative, resolve } from 'node:path'
import { copiedEngine } from '../emit/farm.ts'
import { importedTexts } from '../imports/model-packages.ts'
import type { Project } from '../project/project.ts'
import type { BundlerAdapter, NativeContext, Resolve } from './adapter.ts'
import { contextLogger, runtimeOf, nativeContext } from './context.ts'
import { checkExternals, quotedNames } from './external-packages.ts'
import { ownQuestion } from './resolver.ts'
import { nodeOnly, noPages } from './target.ts'

export function farmAdapter(project: Project): BundlerAdapter {
  let targetEnv: string | undefined
  let output = ''
  return {
    engineCode: (_, asset) => copiedEngine(asset, project.options.assetsDir, output),
    resolver: (context) => farmResolver(nativeContext<'farm'>(context)),
    resolveRuntime: (side) => runtimeOf(project, side),
    side: () => 'node',
    // unplugin resolves Farm's relative paths from the current folder instead of the root.
    importerPath: (importer) => resolve(project.options.root, relative(process.cwd(), importer)),
    logger: contextLogger,
    refusal: () => noPages(project, 'Farm') ?? refusalOf(targetEnv),
    hooks: {
      farm: {
        configResolved({ root = process.cwd(), compilation }) {
          project.moveTo(root)
          targetEnv = compilation?.output?.targetEnv
          output = resolve(root, compilation?.output?.path ?? 'dist')
          project.writesTo(output)
        },
        writeResources: {
          async executor({ resourcesMap }) {
            const scripts = Object.values(resourcesMap).filter(({ resourceType }) => resourceType === 'js')
            const imports = scripts.flatMap(({ bytes }) => importedTexts(Buffer.from(bytes).toString()))
            await checkExternals(imports, { root: project.options.root, cure: bundleInFarm })
          },
        },
      },
    },
  }
}

function farmResolver({ context }: NativeContext<'farm'>): Resolve {
  return async (specifier) => {
    const { external, resolvedPath } = await context.resolve(
      { source: ownQuestion(specifier), importer: null, kind: 'import' },
      { caller: 'unplugin-onnx', meta: {} },
    )
    return external ? undefined : resolvedPath
  }
}

function refusalOf(targetEnv = 'browser') {
  if (/^(?:node|library)(?!-browser)/.test(targetEnv)) return undefined
  return {
    subject: `the option 'output.targetEnv' of Farm`,
    expected: `'node'`,
    received: `'${targetEnv}'`,
    hint: nodeOnly,
  }
}

function bundleInFarm(names: readonly string[]): string {
  return `Leave ${quotedNames(names)} out of 'compilation.external'`
}

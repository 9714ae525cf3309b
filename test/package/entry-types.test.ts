import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { install } from '../support/app.ts'
import { tempFolder } from '../support/helpers.ts'
import { builtPackages } from '../support/packed.ts'
import { compile, type Compiler, strictest, writeProject } from '../support/typed-project.ts'

const folder = tempFolder()
let built: string

beforeAll(async () => {
  built = (await builtPackages(join(folder, 'packages')))['unplugin-onnx']
})

interface ConfigFile {
  readonly file: string
  /** What the app has installed besides this package. */
  readonly packages: readonly string[]
  readonly text: string
}

const pluginOf = (entry: string) => `import onnx from 'unplugin-onnx/${entry}'\n`

const configs: readonly ConfigFile[] = [
  {
    file: 'vite.config.ts',
    packages: ['vite'],
    text: `${pluginOf('vite')}import { defineConfig } from 'vite'
export default defineConfig({ plugins: [onnx({ engine: 'fp16', standalone: true })] })`,
  },
  {
    file: 'rollup.config.ts',
    packages: ['rollup'],
    text: `${pluginOf('rollup')}import { defineConfig } from 'rollup'
export default defineConfig({ input: 'main.js', plugins: [onnx()] })`,
  },
  {
    file: 'rolldown.config.ts',
    packages: ['rolldown'],
    text: `${pluginOf('rolldown')}import { defineConfig } from 'rolldown'
export default defineConfig({ input: 'main.js', plugins: [onnx()] })`,
  },
  {
    file: 'webpack.config.ts',
    packages: ['webpack'],
    text: `${pluginOf('webpack')}import type { Configuration } from 'webpack'
export default { target: 'node', plugins: [onnx()] } satisfies Configuration`,
  },
  {
    file: 'rspack.config.ts',
    packages: ['@rspack/core'],
    text: `${pluginOf('rspack')}import type { Configuration } from '@rspack/core'
export default { target: 'node', plugins: [onnx()] } satisfies Configuration`,
  },
  {
    file: 'build.ts',
    packages: ['esbuild'],
    text: `${pluginOf('esbuild')}import { build } from 'esbuild'
await build({ entryPoints: ['main.ts'], bundle: true, platform: 'node', plugins: [onnx()] })`,
  },
  {
    file: 'farm.config.ts',
    packages: ['@farmfe/core'],
    text: `${pluginOf('farm')}import { defineConfig } from '@farmfe/core'
export default defineConfig({ plugins: [onnx()] })`,
  },
  { file: 'astro.config.ts', packages: ['vite'], text: `${pluginOf('astro')}export const integrations = [onnx()]` },
  {
    file: 'others.ts',
    packages: [],
    text: `import onnxForBun from 'unplugin-onnx/bun'
import onnxForNitro from 'unplugin-onnx/nitro'
import onnxForNuxt from 'unplugin-onnx/nuxt'
import { defineConfig } from 'unplugin-onnx/config'
import { withOnnx } from 'unplugin-onnx/next'
import { compile } from 'unplugin-onnx'
export const others = [onnxForBun(), onnxForNitro(), onnxForNuxt, compile]
export const next = withOnnx({ output: 'standalone' as const }, { engine: 'fp16' })
export default defineConfig({ engine: 'fp16' })`,
  },
]

/** What the compiler says of a config file in an app that has this package and what the app itself needs. */
async function messagesOf({ file, packages, text }: ConfigFile, compiler: Compiler): Promise<readonly string[]> {
  const root = join(folder, `${compiler} ${file}`)
  install(root, ['@types/node', ...packages])
  // A copy, so that it finds the app's packages alone.
  cpSync(built, join(root, 'node_modules/unplugin-onnx'), {
    recursive: true,
    filter: (name) => !/\.[cm]?js$/.test(name),
  })
  writeProject(root, {
    [file]: text,
    'package.json': { type: 'module' },
    'tsconfig.json': {
      compilerOptions: {
        ...strictest,
        lib: ['es2023', 'dom'],
        module: 'nodenext',
        types: ['node'],
      },
      files: [file],
    },
  })
  const messages = await compile(root, compiler, 'tsconfig.json')
  // Bundlers have errors of their own in their types.
  return messages.filter((message) => message.startsWith(file) || message.includes('unplugin-onnx/dist'))
}

test.each(configs)('TypeScript checks the types of a $file without an error of this package', async (config) => {
  expect(await messagesOf(config, '7.0')).toEqual([])
})

test('TypeScript 5.9 checks vite.config.ts likewise', async () => {
  expect(await messagesOf(configs[0]!, '5.9')).toEqual([])
})

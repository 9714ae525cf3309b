import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { rspack as rspack2 } from '@rspack/core'
import { rspack as rspack1 } from 'rspack1'
import { build as buildVite6 } from 'vite6'
import { build as buildVite7 } from 'vite7'
import { type Build, withEsbuild, withRolldown, withRollup, withRspack, withVite, withWebpack } from './bundlers.ts'

/** A build for browsers, whose output has an index.html. */
export interface PageCase {
  readonly bundler: string
  readonly how: string
  run(build: Build): Promise<unknown>
}

type Vite = Parameters<typeof withVite>[2]

const forBrowsers = (build: Build): Build => ({ ...build, options: { ...build.options, platform: 'browser' } })

const vite = (build: Build, version?: Vite, config: Parameters<typeof withVite>[3] = {}): Promise<void> =>
  withVite(build, { minify: true }, version, config)

/** Every bundler that can make pages. */
export const pageCases: readonly PageCase[] = [
  { bundler: 'Vite 8', how: '', run: (build) => vite(build) },
  { bundler: 'Vite 8', how: "`base: './'`", run: (build) => vite(build, undefined, { base: './' }) },
  { bundler: 'Vite 7', how: '', run: (build) => vite(build, buildVite7 as unknown as Vite) },
  { bundler: 'Vite 6', how: '', run: (build) => vite(build, buildVite6 as unknown as Vite) },
  {
    bundler: 'webpack',
    how: 'scripts, minified',
    run: (build) => withPage(build, 'main.js', withWebpack(build, { target: 'web', output: { filename: 'main.js' } })),
  },
  {
    bundler: 'webpack',
    how: 'ES modules, `publicPath`',
    run: (build) =>
      withPage(
        build,
        'main.mjs',
        withWebpack(build, {
          target: 'web',
          experiments: { outputModule: true },
          output: { filename: 'main.mjs', module: true, publicPath: './' },
        }),
      ),
  },
  {
    bundler: 'Rspack 2',
    how: 'scripts, minified',
    run: (build) => withPage(build, 'main.js', withRspack(build, { target: 'web', output: { filename: 'main.js' } })),
  },
  {
    bundler: 'Rspack 1',
    how: 'scripts, minified',
    run: (build) =>
      withPage(
        build,
        'main.js',
        withRspack(build, { target: 'web', output: { filename: 'main.js' } }, rspack1 as unknown as typeof rspack2),
      ),
  },
  {
    bundler: 'Rollup',
    how: "ES modules, `platform: 'browser'`",
    run: (build) =>
      withPage(build, 'main.mjs', withRollup(forBrowsers(build), { format: 'es', entryFileNames: '[name].mjs' })),
  },
  {
    bundler: 'Rollup',
    how: "iife, `platform: 'browser'`",
    run: (build) =>
      withPage(build, 'main.js', withRollup(forBrowsers(build), { format: 'iife', entryFileNames: 'main.js' })),
  },
  {
    bundler: 'Rolldown',
    how: "ES modules, minified, `platform: 'browser'`",
    run: (build) =>
      withPage(
        build,
        'main.mjs',
        withRolldown(forBrowsers(build), { format: 'es', minify: true, entryFileNames: '[name].mjs' }),
      ),
  },
  {
    bundler: 'esbuild',
    how: 'ES modules, minified',
    run: (build) =>
      withPage(
        build,
        'main.mjs',
        withEsbuild(build, { platform: 'browser', format: 'esm', minify: true, outExtension: { '.js': '.mjs' } }),
      ),
  },
  {
    bundler: 'esbuild',
    how: 'iife',
    run: (build) => withPage(build, 'main.js', withEsbuild(build, { platform: 'browser', format: 'iife' })),
  },
  {
    bundler: 'esbuild',
    how: 'iife, `publicPath`',
    run: (build) =>
      withPage(build, 'main.js', withEsbuild(build, { platform: 'browser', format: 'iife', publicPath: './' })),
  },
]

async function withPage({ dir }: Build, script: string, built: Promise<unknown>): Promise<void> {
  await built
  mkdirSync(dir, { recursive: true })
  const type = script.endsWith('.mjs') ? ' type="module"' : ''
  // Behind the body: a script that is no module runs at once.
  writeFileSync(
    join(dir, 'index.html'),
    `<!doctype html><title>page</title><body></body><script${type} src="./${script}"></script>`,
  )
}

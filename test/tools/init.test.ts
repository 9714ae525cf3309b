import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { changeText } from '../../plugin/doctor/changes.ts'
import { editConfig } from '../../plugin/doctor/edit-config.ts'
import { planInit } from '../../plugin/doctor/plan-init.ts'
import { tempFolder } from '../support/helpers.ts'

const folder = tempFolder()
let count = 0

/** An app with these files; returns its folder. */
function app(files: Readonly<Record<string, string>>): string {
  const root = join(folder, String(count++))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), text)
  }
  return root
}

async function planOf(files: Readonly<Record<string, string>>) {
  const root = app(files)
  const plan = await planInit({ root, types: { dir: join(root, '.unplugin-onnx') } })
  return { ...plan, diff: plan.changes.map((change) => changeText(change, root)).join('\n') }
}

const list = { entry: 'vite', path: ['plugins'] }
const nested = { entry: 'vite', path: ['vite', 'plugins'] }
const next = { entry: 'webpack', path: ['webpack', '()'] }
const script = { entry: 'esbuild', path: ['build()', 'plugins'] }

describe('the plugin in a configuration', () => {
  test.each<[string, typeof list, string, string]>([
    [
      'with plugins on one line',
      list,
      `import vue from '@vitejs/plugin-vue'\n\nexport default { plugins: [vue()] }\n`,
      `import vue from '@vitejs/plugin-vue'\nimport onnx from 'unplugin-onnx/vite'\n\n` +
        `export default { plugins: [onnx(), vue()] }\n`,
    ],
    [
      'of defineConfig with plugins on lines, double quotes and semicolons',
      list,
      `import { defineConfig } from "vite";\n` +
        `export default defineConfig({\n  plugins: [\n    a(), // first\n  ],\n});\n`,
      `import { defineConfig } from "vite";\nimport onnx from "unplugin-onnx/vite";\n` +
        `export default defineConfig({\n  plugins: [\n    onnx(),\n    a(), // first\n  ],\n});\n`,
    ],
    [
      'without plugins, returned by a function',
      list,
      `export default defineConfig(({ mode }) => {\n  const x = mode\n  return {\n    base: x,\n  }\n})\n`,
      `import onnx from 'unplugin-onnx/vite'\nexport default defineConfig(({ mode }) => {\n  const x = mode\n` +
        `  return {\n    plugins: [onnx()],\n    base: x,\n  }\n})\n`,
    ],
    [
      'in a variable with a type',
      list,
      `const config: UserConfig = {} satisfies UserConfig\nexport default config\n`,
      `import onnx from 'unplugin-onnx/vite'\nconst config: UserConfig = { plugins: [onnx()] } satisfies UserConfig\n` +
        `export default config\n`,
    ],
    [
      'of CommonJS',
      { entry: 'webpack', path: ['plugins'] },
      `'use strict'\nmodule.exports = { plugins: [] }\n`,
      `'use strict'\nconst onnx = require('unplugin-onnx/webpack').default\nmodule.exports = { plugins: [onnx()] }\n`,
    ],
    [
      'whose module has another onnx',
      list,
      `import onnx from './onnx'\nexport default { plugins: [onnx] }\n`,
      `import onnx from './onnx'\nimport unpluginOnnx from 'unplugin-onnx/vite'\n` +
        `export default { plugins: [unpluginOnnx(), onnx] }\n`,
    ],
    [
      'of Nuxt without a section of Vite',
      nested,
      `export default defineNuxtConfig({\n  ssr: true,\n})\n`,
      `import onnx from 'unplugin-onnx/vite'\nexport default defineNuxtConfig({\n  vite: { plugins: [onnx()] },\n` +
        `  ssr: true,\n})\n`,
    ],
    [
      'of Astro with a section of Vite',
      nested,
      `export default defineConfig({ vite: { base: 'a' } })\n`,
      `import onnx from 'unplugin-onnx/vite'\n` +
        `export default defineConfig({ vite: { plugins: [onnx()], base: 'a' } })\n`,
    ],
    [
      'of Next.js without a function',
      next,
      `const nextConfig = {\n  reactStrictMode: true,\n}\n\nmodule.exports = nextConfig\n`,
      `const onnx = require('unplugin-onnx/webpack').default\nconst nextConfig = {\n  webpack(config) {\n` +
        `    config.plugins.push(onnx())\n    return config\n  },\n  reactStrictMode: true,\n}\n\n` +
        `module.exports = nextConfig\n`,
    ],
    [
      'of Next.js with a function',
      next,
      `export default { webpack: (c, { isServer }) => {\n    return c\n  } }\n`,
      `import onnx from 'unplugin-onnx/webpack'\nexport default { webpack: (c, { isServer }) => {\n` +
        `    c.plugins.push(onnx())\n    return c\n  } }\n`,
    ],
    [
      'in a script of esbuild',
      script,
      `import * as esbuild from 'esbuild'\n\nawait esbuild.build({\n  bundle: true,\n})\n`,
      `import * as esbuild from 'esbuild'\nimport onnx from 'unplugin-onnx/esbuild'\n\n` +
        `await esbuild.build({\n  plugins: [onnx()],\n  bundle: true,\n})\n`,
    ],
  ])('%s', async (_, edit, before, after) => {
    const edited = await editConfig('config.ts', before, edit)
    expect(edited).toEqual({ text: after })
    expect(await editConfig('config.ts', after, edit)).toEqual({ unchanged: 'has it' })
  })

  test.each<[string, typeof list, string, string]>([
    ['a syntax error', list, 'export default {', 'it cannot be parsed'],
    ['no export', list, 'const a = 1', 'it exports no object that can be found'],
    ['several configurations', list, 'export default [{}, {}]', 'it exports no object that can be found'],
    ['plugins from elsewhere', list, 'export default { plugins: all }', `'plugins' is not a list`],
    ['a section of Vite from elsewhere', nested, 'export default { vite: base }', `'vite' is not an object`],
    ['a function from elsewhere', next, 'export default { webpack: other }', `'webpack' is not a function with a body`],
    ['no call', script, `import 'esbuild'`, 'it calls no build() with an object'],
  ])('is refused for %s', async (_, edit, source, reason) => {
    expect(await editConfig('config.ts', source, edit)).toEqual({ reason })
  })
})

describe('init', () => {
  const vite = `export default { plugins: [] }\n`

  test.each<[string, string]>([
    ['vite.config.ts', 'Vite'],
    ['vite.config.mjs', 'Vite'],
    ['nuxt.config.ts', 'Nuxt'],
    ['astro.config.mjs', 'Astro'],
    ['next.config.js', 'Next.js'],
    ['rollup.config.js', 'Rollup'],
    ['rolldown.config.js', 'Rolldown'],
    ['webpack.config.cjs', 'webpack'],
    ['rspack.config.ts', 'Rspack'],
    ['farm.config.ts', 'Farm'],
  ])('%s is that of %s', async (file, name) => {
    const { framework, changes } = await planOf({
      [file]: file.endsWith('.cjs') ? 'module.exports = {}\n' : 'export default {}\n',
    })
    expect(framework).toBe(name)
    expect(changes).toHaveLength(1)
  })

  test('SvelteKit is found by its own configuration next to that of Vite', async () => {
    const files = { 'vite.config.js': vite, 'svelte.config.js': 'export default {}' }
    expect(await planOf(files)).toMatchObject({ framework: 'SvelteKit (Vite)' })
  })

  test('the tsconfig keeps its comments and gets what is missing, and .gitignore one line', async () => {
    const { diff } = await planOf({
      'vite.config.ts': vite,
      'tsconfig.json':
        '{\n  // strict\n  "compilerOptions": {\n    "strict": true, // always\n  },\n  "include": ["src"]\n}\n',
      '.gitignore': 'node_modules',
      '.git/HEAD': '',
      'package.json': '{ "dependencies": { "unplugin-onnx": "1", "onnxruntime-node": "1" } }',
    })
    expect(diff).toMatchInlineSnapshot(`
      "--- vite.config.ts
      +++ vite.config.ts
      @@ -1,1 +1,2 @@
      -export default { plugins: [] }
      +import onnx from 'unplugin-onnx/vite'
      +export default { plugins: [onnx()] }
      --- tsconfig.json
      +++ tsconfig.json
      @@ -2,6 +2,8 @@
         // strict
         "compilerOptions": {
           "strict": true, // always
      +    "allowArbitraryExtensions": true,
      +    "rootDirs": [".", "./.unplugin-onnx/types"],
         },
      -  "include": ["src"]
      +  "include": ["src", ".unplugin-onnx/**/*"]
       }
      --- .gitignore
      +++ .gitignore
      @@ -1,1 +1,2 @@
      -node_modules
      \\ No newline at end of file
      +node_modules
      +.unplugin-onnx"
    `)
  })

  const types = '.unplugin-onnx/**/*'
  const rootDirs = ['.', './.unplugin-onnx/types']

  test.each<[string, Readonly<Record<string, string>>, string, object]>([
    [
      'references of Vite’s template',
      { 'tsconfig.json': '{ "files": [], "references": [] }', 'tsconfig.app.json': '{ "include": ["src"] }' },
      'tsconfig.app.json',
      { include: ['src', types], compilerOptions: { allowArbitraryExtensions: true, rootDirs } },
    ],
    [
      'an extended file',
      {
        'tsconfig.json': '{ "extends": "./base.json" }',
        'base.json': '{ "include": ["lib"], "compilerOptions": { "allowArbitraryExtensions": true } }',
      },
      'tsconfig.json',
      { extends: './base.json', compilerOptions: { rootDirs }, include: ['lib', types] },
    ],
    [
      'an empty object',
      { 'tsconfig.json': '{}' },
      'tsconfig.json',
      { compilerOptions: { allowArbitraryExtensions: true, rootDirs }, include: ['**/*', types] },
    ],
  ])('the tsconfig with %s', async (_, files, name, expected) => {
    const { changes } = await planOf({ 'vite.config.ts': `import 'unplugin-onnx/vite'`, ...files })
    const [change] = changes
    expect(change?.file.endsWith(name)).toBe(true)
    expect(JSON.parse(change?.after ?? '')).toEqual(expected)
  })

  test('an app that has everything needs nothing', async () => {
    const files = {
      'vite.config.ts': `import onnx from 'unplugin-onnx/vite'\nexport default { plugins: [onnx()] }\n`,
      'tsconfig.json': readFileSync(new URL('../examples/rollup/tsconfig.json', import.meta.url), 'utf8'),
      '.gitignore': '/.unplugin-onnx/\n',
      'package.json': '{ "devDependencies": { "unplugin-onnx": "1" }, "dependencies": { "onnxruntime-node": "1" } }',
    }
    expect(await planOf(files)).toMatchObject({ changes: [], notes: ['vite.config.ts has the plugin already'] })
  })

  test('an app without a bundler gets a note, and a broken tsconfig is left alone', async () => {
    const { framework, changes, notes } = await planOf({ 'tsconfig.json': '{ "include": ' })
    expect({ framework, changes }).toEqual({ framework: undefined, changes: [] })
    expect(notes.join('\n')).toMatch(/no configuration of a bundler was found[^]*tsconfig\.json was left as it is/)
  })
})

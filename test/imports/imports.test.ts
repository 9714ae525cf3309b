import { symlinkSync } from 'node:fs'
import { join, relative } from 'node:path'
import { describe, expect, test } from 'vitest'
import { findImports, type Alias } from '../../plugin/imports/find.ts'
import { modelSpecifiers } from '../../plugin/imports/specifiers.ts'
import { resolveOptions } from '../../plugin/options/resolve.ts'
import { tempFolder } from '../support/helpers.ts'
import { writeProject } from '../support/typed-project.ts'

const model = { inputs: { x: 'float32[n,4]' }, outputs: { y: 'float32[n,4]' } }

describe('imports in one source file', () => {
  test.each([
    ['a.ts', `import m from './m.onnx?engine=fp16'`, ['./m.onnx?engine=fp16']],
    ['a.mts', `import type m from './m.onnx'; import { default as n } from "./n.onnx"`, ['./m.onnx', './n.onnx']],
    ['a.js', `export { default } from './m.onnx'; export * from './n.onnx'`, ['./m.onnx', './n.onnx']],
    [
      'a.js',
      `const m = import('./m\\x2eonnx?engine'), n = import(\`./n.onnx\`) // .onnx`,
      ['./m.onnx?engine', './n.onnx'],
    ],
    ['a.cjs', `const m = require('./m.onnx'), n = require(name), o = other('./o.onnx')`, ['./m.onnx']],
    ['a.cts', `import m = require('./m.onnx')`, ['./m.onnx']],
    ['a.d.ts', `export type M = typeof import('./m.onnx').default`, ['./m.onnx']],
    [
      'a.tsx',
      `import m from './m.onnx'; export const element = <T,>(x: T) => <div title="./no.onnx">{x}</div>`,
      ['./m.onnx'],
    ],
    ['a.jsx', `import m from './m.onnx'; export const element = <div/>`, ['./m.onnx']],
    ['a.ts', `// import m from './m.onnx'\nconst text = "import './m.onnx'"`, []],
    [
      'a.vue',
      `<template>'./no.onnx'</template>\n<script setup lang="ts">\nimport m from './m.onnx'\nconst ` +
        `n: string = ''\n</script><script>import './n.onnx'</script>`,
      ['./m.onnx', './n.onnx'],
    ],
    ['a.svelte', `<script lang='ts' generics="T extends Array<'>'>">import m from './m.onnx'</script>`, ['./m.onnx']],
    [
      'a.vue',
      `<script lang="tsx">import m from './m.onnx'; const a = <b/></script><script>never closed './x.onnx'`,
      ['./m.onnx'],
    ],
  ])('%s: %s', async (name, source, expected) => {
    expect(await modelSpecifiers(name, source)).toEqual({
      specifiers: expected.map((text) => ({ text, line: expect.any(Number) })),
      lossy: [],
    })
  })

  test('an import has the line where it starts', async () => {
    expect((await modelSpecifiers('a.ts', `\n\nimport m from './m.onnx'`)).specifiers).toEqual([
      { text: './m.onnx', line: 3 },
    ])
    expect(
      (await modelSpecifiers('a.vue', `<template/>\n<script>\nimport m from './m.onnx'</script>`)).specifiers,
    ).toEqual([{ text: './m.onnx', line: 3 }])
  })
})

describe('imports of a project', () => {
  const root = tempFolder()
  const find = async (
    files: Parameters<typeof writeProject>[1],
    { alias, options = {} }: { alias?: readonly Alias[]; options?: object } = {},
  ) => {
    const folder = join(root, String(projects++))
    writeProject(folder, files)
    const found = await findImports({ options: resolveOptions(options, folder), alias })
    return {
      folder,
      imports: found.imports.map(({ importer, specifier, file, ...rest }) => ({
        importer: posix(folder, importer),
        specifier,
        file: posix(folder, file),
        ...rest,
      })),
      messages: found.problems.map(({ code, message }) => `${code}: ${message}`),
      notes: found.notes,
    }
  }
  let projects = 0

  test.each<[string, Record<string, string | object>, readonly Alias[] | undefined, string]>([
    ['a relative path', { 'src/a.ts': `import '../models/m.onnx'` }, undefined, 'models/m.onnx'],
    ["the root, by Vite's rule", { 'src/a.ts': `import '/models/m.onnx?engine=fp16'` }, undefined, 'models/m.onnx'],
    [
      'an alias for a folder',
      { 'src/a.ts': `import '@/m.onnx'` },
      [{ find: '@', replacement: './models' }],
      'models/m.onnx',
    ],
    [
      'an alias by pattern',
      { 'src/a.ts': `import '~m.onnx'` },
      [{ find: /^~/, replacement: './models/' }],
      'models/m.onnx',
    ],
    [
      'an alias for a package',
      { 'src/a.ts': `import 'nets/m.onnx'` },
      [{ find: 'nets', replacement: 'pkg/deep' }],
      'node_modules/pkg/deep/m.onnx',
    ],
    [
      'paths of tsconfig.json',
      { 'src/a.ts': `import '@/m.onnx'`, 'tsconfig.json': { compilerOptions: { paths: { '@/*': ['./models/*'] } } } },
      undefined,
      'models/m.onnx',
    ],
    [
      'paths that hold the query',
      {
        'src/a.ts': `import '@/m.onnx?engine=fp16'`,
        'tsconfig.json': { compilerOptions: { paths: { '@/*?engine=fp16': ['./models/*'] } } },
      },
      undefined,
      'models/m.onnx',
    ],
    [
      'paths of a referenced project',
      {
        'src/a.ts': `import '@/m.onnx'`,
        'tsconfig.json': `{ "files": [], // a solution\n "references": [{ "path": "./tsconfig.app.json" }] }`,
        'tsconfig.app.json': { extends: './base.json' },
        'base.json': { compilerOptions: { paths: { '@/*': ['./models/*'] } } },
      },
      undefined,
      'models/m.onnx',
    ],
    [
      'paths of jsconfig.json',
      { 'src/a.js': `import '@/m.onnx'`, 'jsconfig.json': { compilerOptions: { paths: { '@/*': ['./models/*'] } } } },
      undefined,
      'models/m.onnx',
    ],
    [
      'imports of package.json',
      { 'src/a.ts': `import '#models/m.onnx?engine=int8'`, 'package.json': { imports: { '#models/*': './models/*' } } },
      undefined,
      'models/m.onnx',
    ],
    [
      'a package that hides its files',
      { 'src/a.ts': `import 'pkg/deep/m.onnx'` },
      undefined,
      'node_modules/pkg/deep/m.onnx',
    ],
  ])('%s leads to the model', async (_, files, alias, file) => {
    const found = await find(
      {
        'models/m.onnx': model,
        'node_modules/pkg/package.json': { name: 'pkg', exports: './index.js' },
        'node_modules/pkg/deep/m.onnx': model,
        ...files,
      },
      { alias },
    )
    expect(found).toMatchObject({ imports: [{ file }], messages: [], notes: [] })
  })

  test('a package that is linked has its real path', async () => {
    writeProject(root, {
      'linked/package.json': { name: 'linked' },
      'linked/m.onnx': model,
      'user/package.json': {},
      'user/node_modules/keep': '',
    })
    symlinkSync(join(root, 'linked'), join(root, 'user/node_modules/linked'), 'junction')
    writeProject(root, { 'user/a.ts': `import 'linked/m.onnx'` })
    const { imports } = await findImports({ options: resolveOptions({}, join(root, 'user')) })
    expect(imports.map(({ file }) => posix(root, file))).toEqual(['linked/m.onnx'])
  })

  test('packages, outputs, hidden folders and other assets are skipped', async () => {
    const source = `import './m.onnx'`
    const found = await find({
      'node_modules/p/a.js': source,
      'dist/a.js': source,
      'packages/p/dist/a.js': source,
      '.unplugin-onnx/types/a.d.ts': source,
      '.git/a.ts': source,
      'a.ts': `import './m.onnx?url'; import './m.onnx?raw'; import 'https://host/m.onnx'; import './m.onnx.json'`,
    })
    expect(found).toMatchObject({ imports: [], messages: [], notes: [] })
  })

  test('dims that the options or the query fix belong to the import', async () => {
    const found = await find(
      { 'm.onnx': model, 'a.ts': `import './m.onnx'; import './m.onnx?shapes=x:2x4'` },
      { options: { models: { '*.onnx': { shapes: { x: [1, 4] } } } } },
    )
    expect(found.imports.map(({ specifier, shapes }) => [specifier, { ...shapes }])).toEqual([
      ['./m.onnx', { x: [1, 4] }],
      ['./m.onnx?shapes=x:2x4', { x: [2, 4] }],
    ])
  })

  test('an import that cannot be typed is a problem with its place, and the others are found', async () => {
    const found = await find({
      'm.onnx': model,
      'a.ts': `import './m.onnx'\nimport './n.onnx'\nimport './m.onnx?engine=fp61'\nimport '@/m.onnx'`,
      'b.ts': `import './m.onnx' from ((`,
    })
    expect(found.imports.map(({ specifier }) => specifier)).toEqual(['./m.onnx'])
    expect(found.messages).toEqual([
      `MODEL_NOT_FOUND: import './n.onnx' in a.ts: expected a model file, received nothing at ` +
        `n.onnx. Did you mean './m.onnx'?\n  at a.ts:2`,
      `QUERY_INVALID: import 'm.onnx?engine=fp61': engine: expected one of fp32, fp16, bf16, int8, ` +
        `int8-weights, int4-weights, auto, received 'fp61'. Did you mean 'fp16'?\n  at a.ts:3`,
      `MODEL_NOT_FOUND: import '@/m.onnx' in a.ts: expected a model file, received a name that no ` +
        'alias, package or imports entry has. Check the path, or install the package that has the ' +
        'model\n  at a.ts:4',
      'TYPES_FAILED: b.ts: expected source text that can be parsed, received Expected a semicolon ' +
        'or an implicit semicolon after a statement, but found none',
    ])
  })

  test('a root that does not exist is an error', async () => {
    const gone = join(root, 'gone')
    await expect(findImports({ options: resolveOptions({}, gone) })).rejects.toThrow(
      `option 'root': expected a folder that exists, received ${gone}`,
    )
  })

  test('an import with a computed name gives a note when its query would be lost', async () => {
    const found = await find({
      'src/a.ts':
        'const name = "m"\nexport const lost = import(`./${name}.onnx?engine=fp16`), kept = import(`./${name}.onnx`)',
    })
    expect(found.messages).toEqual([])
    expect(found.notes).toEqual([
      'src/a.ts:2: the import `./${name}.onnx?engine=fp16` loses its query, because its name is ' +
        'known only at run time. Write one import for each model',
    ])
  })
})

function posix(root: string, path: string): string {
  return relative(root, path).replaceAll('\\', '/')
}

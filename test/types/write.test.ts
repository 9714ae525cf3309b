import { readFileSync, readdirSync, existsSync, writeFileSync, symlinkSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test, expect } from 'vitest'
import type { ModelImport } from '../../plugin/imports/model-import.ts'
import { declarations } from '../../plugin/types/declarations.ts'
import { writeTypes, recordImport } from '../../plugin/types/write.ts'
import type { Bindings } from '../../runtime/manifest.ts'
import { tempFolder } from '../support/helpers.ts'
import { writeProject } from '../support/typed-project.ts'

const folder = tempFolder()

const wide = { inputs: { x: 'float32[n,4]' }, outputs: { y: 'float32[n,4]' } }

const narrow = { inputs: { x: 'float32[n,2]' }, outputs: { y: 'float32[n,2]' } }

let projects = 0

function project(
  files: Parameters<typeof writeProject>[1] = { 'a.onnx': wide, 'sub/b.onnx': wide, 'main.ts': '', 'sub/use.ts': '' },
) {
  const root = join(folder, String(projects++))
  writeProject(root, files)
  const imported = (importer: string, specifier: string, file: string): ModelImport => ({
    importer: join(root, importer),
    specifier,
    file: join(root, file),
  })
  return {
    root,
    imported,
    a: imported('main.ts', './a.onnx', 'a.onnx'),
    b: imported('sub/use.ts', './b.onnx', 'sub/b.onnx'),
  }
}

describe('generated folder', () => {
  test('no file is touched when nothing changed', async () => {
    const { root, a, b } = project()
    const alias = { ...a, specifier: '@/a.onnx?engine=fp16' }
    expect((await writeTypes({ root, imports: [a, b, alias] })).written).toEqual([
      'ambient.d.ts',
      'types/a.d.onnx.ts',
      'types/sub/b.d.onnx.ts',
      'imports.json',
    ])
    const before = stamps(root)
    expect(await writeTypes({ root, imports: [alias, b, a, a] })).toEqual({
      written: [],
      removed: [],
      problems: [],
      notes: [],
    })
    expect(await recordImport({ root }, b)).toMatchObject({ written: [], removed: [] })
    expect(stamps(root)).toEqual(before)
  })

  test('only files whose model changed are written', async () => {
    const { root, a, b } = project()
    await writeTypes({ root, imports: [a, b] })
    writeProject(root, { 'a.onnx': narrow })
    expect(await writeTypes({ root, imports: [a, b] })).toMatchObject({
      written: ['types/a.d.onnx.ts', 'imports.json'],
      removed: [],
    })
    expect(readFileSync(join(root, '.unplugin-onnx/types/a.d.onnx.ts'), 'utf8')).toContain('x: "float32[n,2]"')
  })

  test('files of models that are no longer imported are removed, others are kept', async () => {
    const { root, a, b } = project()
    await writeTypes({ root, imports: [a, b] })
    writeProject(root, { '.unplugin-onnx/mine.d.ts': 'export {}' })
    expect((await writeTypes({ root, imports: [a] })).removed).toEqual(['types/sub/b.d.onnx.ts'])
    expect(readdirSync(join(root, '.unplugin-onnx/types'))).toEqual(['a.d.onnx.ts'])
    expect((await writeTypes({ root, imports: [] })).removed).toEqual(['imports.json', 'types/a.d.onnx.ts'])
    expect(readdirSync(join(root, '.unplugin-onnx'))).toEqual(['mine.d.ts'])
  })

  test('a project without models gets no folder', async () => {
    const { root } = project()
    expect(await writeTypes({ root, imports: [] })).toEqual({ written: [], removed: [], problems: [], notes: [] })
    expect(existsSync(join(root, '.unplugin-onnx'))).toBe(false)
  })

  test('dims that the import fixes are static', async () => {
    const { root, a } = project()
    await writeTypes({ root, dir: 'types', imports: [{ ...a, shapes: { x: [1, 4] } }] })
    expect(readFileSync(join(root, 'types/types/a.d.onnx.ts'), 'utf8')).toMatch(
      /x: "float32\[1,4\]"[^]*y: "float32\[1,4\]"/,
    )
  })

  test('models that cannot be read or do not fit the shapes are left out with the reason', async () => {
    const { root, a, b, imported } = project()
    writeFileSync(join(root, 'bad.onnx'), 'not a model')
    const report = await writeTypes({
      root,
      imports: [
        { ...a, shapes: { z: [1] } },
        b,
        imported('main.ts', './bad.onnx', 'bad.onnx'),
        imported('main.ts', './gone.onnx', 'gone.onnx'),
      ],
    })
    expect(report.problems.map(({ code }) => code)).toEqual(['SHAPE_INVALID', 'MODEL_INVALID', 'MODEL_NOT_FOUND'])
    expect(report.written).toEqual(['types/sub/b.d.onnx.ts', 'imports.json'])
  })

  test('a folder that cannot be written is one problem, not a failure', async () => {
    const { root, a } = project()
    writeFileSync(join(root, 'taken'), '')
    const report = await writeTypes({ root, dir: 'taken', imports: [a] })
    expect(report.problems.map(({ code, message }) => `${code}: ${message.replace(/received .*?\. /, '')}`)).toEqual([
      `TYPES_FAILED: type declarations in ${join(root, 'taken')}: expected a folder that can be ` +
        `written, Choose another folder by the option 'types.dir', or set the option 'types' to false`,
    ])
  })

  test.skipIf(process.platform === 'win32')('a link to the project gives the same folder', async () => {
    const { root, a } = project()
    const link = join(folder, `link${projects++}`)
    symlinkSync(root, link)
    expect((await writeTypes({ root: link, imports: [a] })).written).toEqual(['types/a.d.onnx.ts', 'imports.json'])
    expect((await writeTypes({ root: link, imports: [{ ...a, importer: join(link, 'main.ts') }] })).written).toEqual([])
  })
})

describe('types of a partial build', () => {
  test('new imports are added, others kept', async () => {
    const { root, a, b } = project()
    await writeTypes({ root, imports: [a] })
    expect((await recordImport({ root }, b)).written).toEqual(['types/sub/b.d.onnx.ts', 'imports.json'])
    expect(declared(root)).toEqual(['a.d.onnx.ts', 'sub/b.d.onnx.ts'])
  })

  test('models that are not imported keep their types, and are not read', async () => {
    const { root, a, b } = project()
    await writeTypes({ root, imports: [a, b] })
    writeFileSync(a.file, 'damaged')
    expect(await recordImport({ root }, b)).toEqual({ written: [], removed: [], problems: [], notes: [] })
    expect(declared(root)).toEqual(['a.d.onnx.ts', 'sub/b.d.onnx.ts'])
  })

  test('a model whose bindings are known from its compilation is not read', async () => {
    const { root, b } = project()
    writeFileSync(b.file, 'damaged')
    const bindings: Bindings = { inputs: [{ name: 'told', dtype: 'int8', dims: [2] }], outputs: [] }
    expect((await recordImport({ root }, { ...b, bindings })).written).toEqual([
      'types/sub/b.d.onnx.ts',
      'imports.json',
    ])
    expect(readFileSync(join(root, '.unplugin-onnx/types/sub/b.d.onnx.ts'), 'utf8')).toContain('told: "int8[2]"')
  })

  test('imports of one turn are written once', async () => {
    const { root, a, b } = project()
    const [first, second] = await Promise.all([recordImport({ root }, a), recordImport({ root }, b)])
    expect(first.written).toEqual(['types/a.d.onnx.ts', 'types/sub/b.d.onnx.ts', 'imports.json'])
    expect(second).toBe(first)
  })

  test('imports whose importer or model is gone are removed', async () => {
    const { root, a, b } = project()
    await writeTypes({ root, imports: [a, b] })
    rmSync(join(root, 'main.ts'))
    expect((await recordImport({ root }, b)).removed).toEqual(['types/a.d.onnx.ts'])
  })

  test('importers that TypeScript never reads are skipped, and a virtual one has its real file', async () => {
    const { root, a, b } = project()
    for (const importer of ['\0virtual:entry', 'virtual:entry', join(root, 'node_modules/p/index.js')])
      await recordImport({ root }, { ...a, importer })
    expect(existsSync(join(root, '.unplugin-onnx'))).toBe(false)
    await recordImport({ root }, { ...b, importer: `${b.importer}?vue&type=script&setup=true&lang.ts` })
    expect(declared(root)).toEqual(['sub/b.d.onnx.ts'])
  })

  test('a list of imports that cannot be read is replaced', async () => {
    const row = {
      importer: 'main.ts',
      specifier: './b.onnx',
      file: 'a.onnx',
      bindings: { inputs: [{ name: 'x', dtype: 'float33', dims: [] }], outputs: [] },
    }
    for (const index of ['{ "version": 0 }', '{', JSON.stringify({ version: 1, imports: [row] })]) {
      const { root, a } = project({ 'a.onnx': wide, 'main.ts': '', '.unplugin-onnx/imports.json': index })
      expect((await recordImport({ root }, a)).written).toEqual(['types/a.d.onnx.ts', 'imports.json'])
    }
  })
})

describe('declaration text', () => {
  const bindings: Bindings = {
    inputs: [
      { name: 'image', dtype: 'float32', dims: ['batch', 3, null, 448] },
      { name: 'any', dtype: 'int64', dims: null },
      { name: 'scalar', dtype: 'bool', dims: [] },
      {
        name: 'a"b\n*/`${x}`\u2028\u202e',
        dtype: 'string',
        dims: ['3', 'a,b]', '?', '...', '-1', ' ', 'floor(h / 2)', '*/'],
      },
    ],
    outputs: [],
  }
  const item = { importer: 'src/main.ts', specifier: './m.onnx', file: 'src/m*/`\n\u2028.onnx', bindings }
  const paths = (specifier: string, windows = false) =>
    [...declarations([{ ...item, specifier }], { windows }).files].map(([path, text]) =>
      path === 'ambient.d.ts' ? /^declare module (.*) \{$/m.exec(text)?.[1] : path,
    )

  test('names of any characters stay data', () => {
    expect(declarations([item], { windows: false }).files.get('types/src/m.d.onnx.ts')).toMatchInlineSnapshot(`
      "// Generated by unplugin-onnx, do not edit: \`unplugin-onnx types\` and every build write it again.
      /* eslint-disable */
      import type { Model } from 'unplugin-onnx/runtime'

      /** src/m*\\/\`\\u000a\\u2028.onnx */
      declare const model: Model<{
        image: "float32[batch,3,?,448]"
        any: "int64[...]"
        scalar: "bool[]"
        "a\\"b\\n*/\`\${x}\`\\u2028\\u202e": "string[_3,a_b_,_?,_...,_-1,?,floor(h / 2),*/]"
      }, {}>
      export default model
      "
    `)
  })

  test.each([
    ['./m.onnx', 'types/src/m.d.onnx.ts', 'types/src/m.d.onnx.ts'],
    ['./m.onnx?engine=fp16', 'types/src/m.d.onnx?engine=fp16.ts', '".*/m.onnx?engine=fp16"'],
    ['../a/m.v2.onnx?engine=fp16', 'types/a/m.v2.d.onnx?engine=fp16.ts', '"..*/a/m.v2.onnx?engine=fp16"'],
    ['./m.onnx?shapes=input.1:1x3', 'types/src/m.onnx?shapes=input.d.1:1x3.ts', '".*/m.onnx?shapes=input.1:1x3"'],
    ['../../out/m.onnx', '"..*/../out/m.onnx"', '"..*/../out/m.onnx"'],
    [
      `./m.onnx?shapes=${'x'.repeat(300)}:1`,
      `".*/m.onnx?shapes=${'x'.repeat(300)}:1"`,
      `".*/m.onnx?shapes=${'x'.repeat(300)}:1"`,
    ],
    ['./m.onnx?shapes=a/b:1', '".*/m.onnx?shapes=a/b:1"', '".*/m.onnx?shapes=a/b:1"'],
    ['/src/m.onnx', '"*/src/m.onnx"', '"*/src/m.onnx"'],
    ['@/m.onnx?engine=fp16', '"@/m.onnx?engine=fp16"', '"@/m.onnx?engine=fp16"'],
    ['#m/a"b.onnx', '"#m/a\\"b.onnx"', '"#m/a\\"b.onnx"'],
  ])('%s is declared where it belongs', (specifier, posix, windows) => {
    expect([paths(specifier), paths(specifier, true)]).toEqual([[posix], [windows]])
  })

  test('patterns are declared longest first, so that a shorter one does not catch their imports', () => {
    const specifiers = ['@/m.onnx', './m.onnx?engine', './sub/m.onnx?engine', '../m.onnx?engine', '#m.onnx']
    const text = declarations(
      specifiers.map((specifier) => ({ ...item, specifier })),
      { windows: true },
    ).files.get('ambient.d.ts')
    expect(text?.match(/(?<=^declare module ).*(?= \{)/gm)).toEqual([
      '".*/sub/m.onnx?engine"',
      '"..*/m.onnx?engine"',
      '".*/m.onnx?engine"',
      '"#m.onnx"',
      '"@/m.onnx"',
    ])
  })

  test('one text for two different models is typed as ambiguous, for two alike ones as that model', () => {
    const [alike, different] = [bindings, { inputs: [], outputs: [] }].map((other) =>
      declarations(
        [
          { ...item, specifier: '@/m.onnx' },
          { ...item, specifier: '@/m.onnx', file: 'b.onnx', bindings: other },
        ],
        { windows: false },
      ).files.get('ambient.d.ts'),
    )
    expect(alike).toContain('const model: Model<')
    expect(different).toContain(`const model: Ambiguous<"'@/m.onnx' is b.onnx and src/m*/`)
  })

  test('a name that cannot be declared gives a note', () => {
    expect(declarations([{ ...item, specifier: '@/a*b*.onnx' }], { windows: false })).toEqual({
      files: new Map(),
      notes: [
        `The import "@/a*b*.onnx" has no types, because a module name with more than one '*' cannot ` +
          'be declared. Rename the file',
      ],
    })
  })
})

function declared(root: string): readonly string[] {
  const files = readdirSync(join(root, '.unplugin-onnx/types'), { recursive: true, encoding: 'utf8' })
  return files
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.replaceAll('\\', '/'))
    .sort()
}

function stamps(root: string): readonly (readonly [string, number])[] {
  const out = join(root, '.unplugin-onnx')
  const files = readdirSync(out, { recursive: true, encoding: 'utf8' })
  return ['', ...files.sort()].map((file) => [file, statSync(join(out, file)).mtimeMs])
}

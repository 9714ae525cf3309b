import { execFile } from 'node:child_process'
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createPackageWithOptions } from '@electron/asar'
import { rolldown } from 'rolldown'
import { build as buildVite } from 'vite'
import { beforeAll, describe, expect, test } from 'vitest'
import onnx from '../dist/plugin/rolldown.js'
import { install, runOutput, writeFiles } from './app.ts'
import { tempFolder } from './helpers.ts'
import { affineModel } from './models.ts'

const run = promisify(execFile)
const page = readFileSync(new URL('../docs/electron.md', import.meta.url), 'utf8')

const main = `
import model from './model.onnx?engine=fp32'
model.infer({ x: { data: new Float32Array([1, 2, 3, 4]), dims: [1, 4] } }).then(({ y }) => {
  console.log(JSON.stringify([...y.data]))
})
`

describe('electron-vite', () => {
  const app = tempFolder()
  const build = () => run(process.execPath, [fileURLToPath(new URL('../node_modules/electron-vite/bin/electron-vite.js', import.meta.url)), 'build'], {
    cwd: app, env: { ...process.env, ELECTRON_MAJOR_VER: '38' },
  })

  beforeAll(() => {
    install(app, ['unplugin-onnx', 'electron-vite', 'vite'])
    writeFiles(app, {
      'package.json': JSON.stringify({ main: './out/main/index.js', type: 'module', dependencies: { 'unplugin-onnx': '*', 'onnxruntime-node': '*' } }),
      'electron.vite.config.js': codeOf('electron.vite.config.js'),
      'src/main/index.js': main,
      'src/main/model.onnx': affineModel({ weight: 2 }),
      'src/preload/index.ts': codeOf('preload.ts'),
      'src/renderer/index.html': '<script type="module" src="./window.js"></script>',
      'src/renderer/window.js': 'console.log(window.pose)',
    })
  })

  test('builds the configuration of docs/electron.md: the main process runs, and the preload script is one file', async () => {
    await build()
    expect(await runOutput(join(app, 'out/main/index.js'))).toEqual([3, 5, 7, 9])
    expect(readdirSync(join(app, 'out/preload'))).toEqual(['index.cjs'])
    const preload = readFileSync(join(app, 'out/preload/index.cjs'), 'utf8')
    expect([...preload.matchAll(/require\(["'](.*?)["']\)/g)].map(([, name]) => name)).toEqual(['electron'])
  })

  test.each([
    ['a window', 'src/renderer/window.js', 'window.js'],
    ['a preload script', 'src/preload/index.ts', join('src', 'preload', 'index.ts')],
  ])('stops at a model in the code of %s, and says what to do instead', async (side, file, importer) => {
    const source = readFileSync(join(app, file), 'utf8')
    writeFiles(app, { [file]: `import model from '../main/model.onnx'\nconsole.log(model)` })
    await expect(build()).rejects.toMatchObject({ stderr: expect.stringContaining(
      `import of model.onnx: expected code of the main process, a utility process or a worker, received code of ${side} of Electron, where models cannot run. Import it in the main process, and call it from windows by exposeModel() and connectModel() of unplugin-onnx/electron: docs/electron.md shows how\n  imported by ${importer}`,
    ) })
    writeFiles(app, { [file]: source })
  })
})

// Its Vite plugin builds the main process as a CommonJS library, and packs `.vite` and package.json only.
test('the configuration of docs/electron.md for Electron Forge carries all that runs in .vite', async () => {
  const [app, packed] = [tempFolder(), tempFolder()]
  install(app, ['unplugin-onnx', 'vite', 'onnxruntime-node', 'onnxruntime-common'])
  writeFiles(app, {
    'package.json': JSON.stringify({ main: '.vite/build/main.cjs', type: 'module' }),
    'vite.main.config.js': codeOf('vite.main.config.js'),
    'src/main.js': main,
    'src/model.onnx': affineModel({ weight: 2 }),
  })
  await buildVite({
    root: app, configFile: join(app, 'vite.main.config.js'), logLevel: 'silent', resolve: { conditions: ['node'] },
    build: { outDir: '.vite/build', copyPublicDir: false, emptyOutDir: false, minify: true, lib: { entry: 'src/main.js', fileName: () => '[name].cjs', formats: ['cjs'] } },
  })
  cpSync(join(app, '.vite'), join(packed, '.vite'), { recursive: true })
  expect(await runOutput(join(packed, '.vite/build/main.cjs'))).toEqual([3, 5, 7, 9])
})

describe('an asar archive', () => {
  const folder = tempFolder()

  beforeAll(async () => {
    install(folder, ['unplugin-onnx', 'onnxruntime-node', '@electron/asar'])
    writeFiles(folder, { 'src/main.js': main, 'src/model.onnx': affineModel({ weight: 2 }), 'app/package.json': '{}' })
    const bundle = await rolldown({ input: join(folder, 'src/main.js'), plugins: [onnx({ root: folder, onnxruntime: { portable: false } })], onLog: () => {} })
    await bundle.write({ dir: join(folder, 'app/dist'), format: 'cjs', entryFileNames: 'main.cjs' })
    await bundle.close()
  })

  test.each([
    ['inside', undefined, [expect.stringMatching(/^dist\/assets\/model-onnxruntime-[\da-f]{10}\.ort$/)]],
    ['unpacked beside it', '**/*.ort', []],
  ])('carries engines %s', async (title, unpack, opened) => {
    const archive = join(folder, title, 'app.asar')
    await createPackageWithOptions(join(folder, 'app'), archive, unpack === undefined ? {} : { unpack })
    expect(existsSync(`${archive}.unpacked`)).toBe(unpack !== undefined)
    const { stdout, stderr } = await run(process.execPath, [fileURLToPath(new URL('electron-files.cjs', import.meta.url)), archive, join('dist', 'main.cjs')])
    expect(JSON.parse(stdout)).toEqual([3, 5, 7, 9])
    expect(JSON.parse(stderr)).toEqual(opened)
  })
})

/** The code block of the page whose first line is a comment with this name. */
function codeOf(name: string): string {
  const block = page.split('```').find((text) => text.split('\n')[1] === `// ${name}`)
  if (block === undefined) throw new Error(`docs/electron.md has no code of ${name}`)
  return block.slice(block.indexOf('\n'))
}

import { execFile } from 'node:child_process'
import { cpSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createPackageWithOptions } from '@electron/asar'
import { rolldown } from 'rolldown'
import type { Options } from 'unplugin-onnx'
import { build as buildVite } from 'vite'
import { beforeAll, describe, expect, test } from 'vitest'
import { platformName } from '../../native/platform.ts'
import onnx from '../../plugin/rolldown.ts'
import { install, runOutput, writeFiles } from '../support/app.ts'
import { missingChromium, openChromium, openPage } from '../support/chromium.ts'
import { codeOf, mainProcess, runArchive } from '../support/electron-archive.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel } from '../support/models.ts'
import { missingOpenVino, root } from '../support/openvino-models.ts'
import { serveFolder } from '../support/web-server.ts'

const run = promisify(execFile)

describe('electron-vite', () => {
  const app = tempFolder()
  const build = () =>
    run(
      process.execPath,
      [fileURLToPath(new URL('../../node_modules/electron-vite/bin/electron-vite.js', import.meta.url)), 'build'],
      {
        cwd: app,
        env: { ...process.env, ELECTRON_MAJOR_VER: '38' },
      },
    )

  beforeAll(() => {
    install(app, ['unplugin-onnx', 'electron-vite', 'vite', 'onnxruntime-web'])
    writeFiles(app, {
      'package.json': JSON.stringify({
        main: './out/main/index.js',
        type: 'module',
        dependencies: { 'unplugin-onnx': '*', 'onnxruntime-node': '*' },
      }),
      'electron.vite.config.js': codeOf('electron.vite.config.js'),
      'src/main/index.js': mainProcess,
      'src/main/model.onnx': affineModel({ weight: 2 }),
      'src/preload/index.ts': codeOf('preload.ts'),
      'src/renderer/index.html': '<script type="module" src="./window.js"></script>',
      'src/renderer/window.js': 'console.log(window.pose)',
    })
  })

  test('the configuration of docs/electron.md builds a main process that runs and one preload file', async () => {
    await build()
    expect(await runOutput(join(app, 'out/main/index.js'))).toEqual([3, 5, 7, 9])
    expect(readdirSync(join(app, 'out/preload'))).toEqual(['index.cjs'])
    const preload = readFileSync(join(app, 'out/preload/index.cjs'), 'utf8')
    expect([...preload.matchAll(/require\(["'](.*?)["']\)/g)].map(([, name]) => name)).toEqual(['electron'])
  })

  test('a model in the code of a preload script stops the build with what to do instead', async () => {
    const file = 'src/preload/index.ts'
    const source = readFileSync(join(app, file), 'utf8')
    writeFiles(app, { [file]: `import model from '../main/model.onnx'\nconsole.log(model)` })
    await expect(build()).rejects.toMatchObject({
      stderr: expect.stringContaining(
        'import of model.onnx: expected code of the main process, a window, a utility process or a worker, ' +
          'received code of a preload script of Electron, where models cannot run. Import it in the main ' +
          'process, and call it from windows with exposeModel() and connectModel() of ' +
          'unplugin-onnx/electron, or import it in the code of the window: docs/electron.md shows how\n' +
          `  imported by ${join('src', 'preload', 'index.ts')}`,
      ),
    })
    writeFiles(app, { [file]: source })
  })

  test('a model in the code of a window is built for a page, next to that of the main process', async () => {
    const code = `import model from '../main/model.onnx'\nglobalThis.app = { model }`
    writeFiles(app, { 'src/renderer/window.js': code })
    await build()
    const files = readdirSync(join(app, 'out/renderer'), { recursive: true }).map(String)
    expect(files.filter((file) => file.endsWith('.wasm'))).toHaveLength(1)
    expect(files.filter((file) => /model-wasm-\w+\.ort$/.test(file))).toHaveLength(1)
    expect(await runOutput(join(app, 'out/main/index.js'))).toEqual([3, 5, 7, 9])
  })

  test.skipIf(missingChromium)('the page of such a window runs its model', async () => {
    await using server = await serveFolder(join(app, 'out/renderer'))
    const browser = await openChromium()
    try {
      await using opened = await openPage(browser, server.url)
      const call = 'app.model.infer({ x: Float32Array.of(1, 2, 3, 4) }).then(({ y }) => [...y.data])'
      expect(await opened.page.evaluate(call)).toEqual([3, 5, 7, 9])
    } finally {
      await browser.close()
    }
  })
})

// Its Vite plugin builds the main process as a CommonJS library, and packs `.vite` and package.json only.
test('the configuration of docs/electron.md for Electron Forge carries all that runs in .vite', async () => {
  const [app, packed] = [tempFolder(), tempFolder()]
  install(app, ['unplugin-onnx', 'vite', 'onnxruntime-node', 'onnxruntime-common'])
  writeFiles(app, {
    'package.json': JSON.stringify({ main: '.vite/build/main.cjs', type: 'module' }),
    'vite.main.config.js': codeOf('vite.main.config.js'),
    'src/main.js': mainProcess,
    'src/model.onnx': affineModel({ weight: 2 }),
  })
  await buildVite({
    root: app,
    configFile: join(app, 'vite.main.config.js'),
    logLevel: 'silent',
    resolve: { conditions: ['node'] },
    build: {
      outDir: '.vite/build',
      copyPublicDir: false,
      emptyOutDir: false,
      minify: true,
      lib: { entry: 'src/main.js', fileName: () => '[name].cjs', formats: ['cjs'] },
    },
  })
  cpSync(join(app, '.vite'), join(packed, '.vite'), { recursive: true })
  expect(await runOutput(join(packed, '.vite/build/main.cjs'))).toEqual([3, 5, 7, 9])
})

describe.skipIf(missingOpenVino() !== undefined)('asar archive of a standalone app', () => {
  const folder = tempFolder()
  const addons = `dist/node_modules/@unplugin-onnx/native-${platformName()}`

  beforeAll(async () => {
    install(folder, ['unplugin-onnx', 'onnxruntime-node', '@electron/asar'])
    writeFiles(folder, {
      'src/main.js': mainProcess,
      'src/model.onnx': affineModel({ weight: 2 }),
      'app/package.json': '{}',
    })
    writeFiles(join(folder, 'node_modules/@unplugin-onnx', `native-${platformName()}`), {
      'package.json': JSON.stringify({ main: './index.cjs' }),
      'index.cjs': `exports.openvino = () => require('./openvino.node')`,
      'openvino.node': readFileSync(join(root, 'native/build/Release/openvino.node')),
    })
    await bundle(folder, 'app/dist', 'main.cjs', {
      backends: ['openvino', 'onnxruntime'],
      onnxruntime: { portable: false },
      standalone: true,
    })
  })

  const ort = expect.stringMatching(/^dist\/assets\/model-onnxruntime-[\da-f]{10}\.ort$/)
  const blob = expect.stringMatching(/^dist\/assets\/model-openvino-[\da-f]{10}\.blob$/)
  const modules = '**/node_modules/**'

  test.each([
    [
      'with ONNX Runtime: the engine inside',
      {
        unpack: modules,
        backend: 'onnxruntime',
        places: {},
        inside: [ort],
      },
    ],
    [
      'with ONNX Runtime: the engine beside it',
      {
        unpack: `{${modules},**/*.ort}`,
        backend: 'onnxruntime',
        places: {},
        inside: [],
      },
    ],
    [
      'with OpenVINO: the engine inside, the addon beside it',
      {
        unpack: modules,
        backend: 'openvino',
        places: {},
        inside: [blob],
      },
    ],
    [
      'with OpenVINO: the engine and the addon beside it',
      {
        unpack: `{${modules},**/*.blob}`,
        backend: 'openvino',
        places: {},
        inside: [],
      },
    ],
    [
      'with OpenVINO: the engine and the addon inside',
      {
        unpack: '**/node_modules/{unplugin-onnx,onnxruntime-*}/**',
        backend: 'openvino',
        places: { UNPLUGIN_ONNX_NATIVE: addons },
        inside: [`${addons}/openvino.node`, blob],
      },
    ],
  ] as const)('an app in an archive runs %s', async (title, { unpack, backend, places, inside }) => {
    const archive = join(folder, title.replaceAll(/\W/g, ''), 'app.asar')
    await createPackageWithOptions(join(folder, 'app'), archive, { unpack })
    const own = Object.fromEntries(Object.entries(places).map(([name, place]) => [name, join(archive, place)]))
    const env = { ...own, ...(backend === 'onnxruntime' && { OPENVINO_ROOT: folder }) }
    expect(await runArchive(archive, 'dist/main.cjs', env)).toEqual({ result: [3, 5, 7, 9], inside })
  })
})

async function bundle(root: string, output: string, entryFileNames: string, options: Options): Promise<void> {
  const build = await rolldown({
    input: join(root, 'src/main.js'),
    plugins: [onnx({ ...options, root })],
    onLog: () => {},
  })
  await build.write({ dir: join(root, output), format: 'cjs', entryFileNames })
  await build.close()
}

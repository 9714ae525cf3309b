import { execFile } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { zipSync } from 'fflate'
import { build as buildVite } from 'vite'
import { describe, expect, test } from 'vitest'
import { install, writeFiles } from '../support/app.ts'
import { archiveIn, codeOf, mainProcess, runArchive } from '../support/electron-archive.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel } from '../support/models.ts'
import { nodeBinary } from '../support/node-binary.ts'
import { runNpm } from '../support/package-managers.ts'
import { packed } from '../support/packed.ts'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const { devDependencies: versions } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
  devDependencies: Readonly<Record<string, string>>
}

const electron = '38.0.0'
const manifest = { name: 'app', version: '1.0.0', description: 'app', author: 'nobody', type: 'module' }
const sources = { 'src/main.js': mainProcess, 'src/model.onnx': affineModel({ weight: 2 }) }
// No package registry has the binary of Electron: an empty one is packed instead.
const binary = ['electron', 'chrome-sandbox', 'LICENSE', 'LICENSES.chromium.html', 'version', 'resources/.keep']

// The packagers take a minute to install. On other systems they want more of Electron.
describe.runIf(process.env['INSTALL'] === 'all' && process.platform === 'linux')(
  'configuration of docs/electron.md',
  () => {
    test('electron-builder unpacks what the system has to load', async () => {
      const app = tempFolder()
      install(app, ['unplugin-onnx', 'onnxruntime-node', 'vite'])
      writeFiles(app, {
        ...sources,
        'package.json': JSON.stringify({ ...manifest, main: 'out/main/index.cjs' }),
        'electron-builder.yml': codeOf('electron-builder.yml'),
        'vite.main.config.js': codeOf('vite.main.config.js'),
        ...Object.fromEntries(binary.map((file) => [`electron/${file}`, ''])),
      })
      await buildVite({
        root: app,
        configFile: join(app, 'vite.main.config.js'),
        logLevel: 'silent',
        build: { outDir: 'out/main', lib: { entry: 'src/main.js', fileName: () => 'index.cjs', formats: ['cjs'] } },
      })
      rmSync(join(app, 'node_modules'), { recursive: true })
      await runNpm(
        app,
        'exec',
        '--yes',
        '--package=electron-builder@26.17.0',
        '--',
        'electron-builder',
        '--dir',
        `-c.electronVersion=${electron}`,
        '-c.electronDist=electron',
        '-c.npmRebuild=false',
      )
      install(app, ['@electron/asar'])
      expect(await runArchive(archiveIn(join(app, 'dist')), 'out/main/index.cjs')).toEqual({
        result: [3, 5, 7, 9],
        inside: [engineIn('out/main')],
      })
    }, 180_000)

    test('Electron Forge packs an app that needs no node_modules', async () => {
      const [app, node] = [tempFolder(), await nodeBinary('24.21.0', repository)]
      const tarball = await packed(tempFolder())
      writeFiles(app, {
        ...sources,
        'package.json': JSON.stringify({
          ...manifest,
          main: '.vite/build/main.cjs',
          devDependencies: {
            'unplugin-onnx': `file:${tarball}`,
            'onnxruntime-node': versions['onnxruntime-node'],
            vite: versions['vite'],
            electron,
            '@electron-forge/cli': '8.0.1',
            '@electron-forge/plugin-vite': '8.0.1',
            '@electron/asar': versions['@electron/asar'],
          },
        }),
        'vite.main.config.js': codeOf('vite.main.config.js'),
        'documented.config.js': codeOf('forge.config.js'),
        'forge.config.js': `
import config from './documented.config.js'
export default { ...config, packagerConfig: { ...config.packagerConfig, electronZipDir: import.meta.dirname } }`,
        [`electron-v${electron}-linux-${process.arch}.zip`]: zipSync(
          Object.fromEntries(binary.map((file) => [file, new Uint8Array()])),
        ),
      })
      await runNpm(
        app,
        'install',
        '--ignore-scripts',
        '--prefer-offline',
        '--no-audit',
        '--no-fund',
        '--loglevel=error',
      )
      const env = { ...process.env, PATH: [dirname(node), process.env['PATH']].join(delimiter) }
      await promisify(execFile)(
        node,
        [join(app, 'node_modules/@electron-forge/cli/dist/electron-forge.js'), 'package'],
        { cwd: app, env },
      )
      expect(await runArchive(archiveIn(join(app, 'out')), '.vite/build/main.cjs')).toEqual({
        result: [3, 5, 7, 9],
        inside: [engineIn('.vite/build')],
      })
    }, 240_000)
  },
)

function engineIn(folder: string): unknown {
  return expect.stringMatching(`^${folder}/assets/model-onnxruntime-[\\da-f]{10}\\.ort$`)
}

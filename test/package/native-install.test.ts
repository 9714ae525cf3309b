import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { writeFiles } from '../support/app.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel } from '../support/models.ts'
import { missingOpenVino } from '../support/openvino-models.ts'
import { runNpm } from '../support/package-managers.ts'
import { packed } from '../support/packed.ts'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const skip = process.env['INSTALL'] !== 'all' || missingOpenVino() !== undefined

// OpenVINO's package has 86 MB.
test.skipIf(skip)(
  'the native packages, as they are published, run OpenVINO engines where nothing else is installed',
  async () => {
    const [app, packages] = [tempFolder(), tempFolder()]
    const run = async (script: string, args: readonly string[], env: NodeJS.ProcessEnv) =>
      (await promisify(execFile)(process.execPath, [script, ...args], { cwd: app, env })).stdout
    await run(join(repository, 'dist/native/scripts/pack.js'), [packages], process.env)
    const tarball = await packed(tempFolder())
    const folders = readdirSync(packages)
    expect(folders.map((name) => name.split('-')[0])).toEqual(['native', 'openvino'])
    writeFiles(app, {
      'package.json': JSON.stringify({
        type: 'module',
        dependencies: {
          'unplugin-onnx': `file:${tarball}`,
          ...Object.fromEntries(folders.map((name) => [`@unplugin-onnx/${name}`, `file:${join(packages, name)}`])),
        },
      }),
      'model.onnx': affineModel({ weight: 2 }),
      'main.js': `
import { loadModel } from 'unplugin-onnx/runtime'
const model = await loadModel('engines/model.json')
const { y } = await model.infer({ x: new Float32Array([1, 2, 3, 4]) })
console.log(JSON.stringify([...y.data]))`,
    })
    // Copied, as from a registry; npm links folders otherwise.
    await runNpm(
      app,
      'install',
      '--install-links',
      '--ignore-scripts',
      '--omit=peer',
      '--prefer-offline',
      '--no-audit',
      '--no-fund',
      '--loglevel=error',
    )
    await run(
      join(app, 'node_modules/unplugin-onnx/dist/plugin/cli.js'),
      ['build', 'model.onnx', '--backend', 'openvino', '--out', 'engines'],
      process.env,
    )
    // No library of the machine, and none that `unplugin-onnx setup` put into the user's cache.
    const { OPENVINO_ROOT: _, ...rest } = process.env
    expect(JSON.parse(await run('main.js', [], { ...rest, HOME: app, XDG_CACHE_HOME: app }))).toEqual([3, 5, 7, 9])
  },
  180_000,
)

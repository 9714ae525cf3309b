import { execFile } from 'node:child_process'
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { install, writeFiles } from '../support/app.ts'
import { bunBinary } from '../support/bun.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel } from '../support/models.ts'
import { nodeBinary } from '../support/node-binary.ts'

const run = promisify(execFile)

/** By example: how its output, a folder with the executable, is built. */
const builds: Readonly<Record<string, (app: string) => Promise<unknown>>> = {
  async executable(app) {
    await run(
      process.execPath,
      [fileURLToPath(new URL('../../node_modules/rolldown/bin/cli.mjs', import.meta.url)), '--config'],
      { cwd: app },
    )
    await run(await nodeBinary('26.10.0', app), ['--build-sea', 'sea-config.json'], { cwd: app })
    rmSync(join(app, 'dist/main.cjs'))
  },
  'executable-bun': (app) => run(bunBinary() ?? 'bun', ['build.ts'], { cwd: app }),
}

// macOS wants them signed.
describe.runIf(process.platform !== 'darwin').each(Object.entries(builds))('example %s', (example, build) => {
  test('the executable starts by itself in any folder', async () => {
    const [app, elsewhere] = [tempFolder(), tempFolder()]
    cpSync(fileURLToPath(new URL(`../deploy/${example}`, import.meta.url)), app, { recursive: true })
    writeFiles(app, { 'src/model.onnx': affineModel({ weight: 2 }) })
    install(app, ['unplugin-onnx', 'onnxruntime-node'])
    await build(app)
    cpSync(join(app, 'dist'), elsewhere, { recursive: true })
    rmSync(app, { recursive: true })
    const { stdout } = await run(
      join(elsewhere, process.platform === 'win32' ? 'app.exe' : 'app'),
      ['1', '2', '3', '4'],
      { cwd: elsewhere, env: { PATH: '' } },
    )
    expect(JSON.parse(stdout)).toEqual([3, 5, 7, 9])
  })
})

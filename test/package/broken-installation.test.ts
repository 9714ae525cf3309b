import { execFile } from 'node:child_process'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { compile, writeModel } from 'unplugin-onnx'
import { beforeAll, describe, expect, test } from 'vitest'
import { copyRuntime } from '../../dist/plugin/emit/standalone.js'
import { platformName } from '../../native/platform.ts'
import { install, writeFiles } from '../support/app.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel } from '../support/models.ts'
import { missingOpenVino } from '../support/openvino-models.ts'

const run = promisify(execFile)
const repository = fileURLToPath(new URL('../..', import.meta.url))
const folder = tempFolder()
const onnxruntime = join('node_modules', 'onnxruntime-node')
const binaries = join(onnxruntime, 'bin', readdirSync(join(repository, onnxruntime, 'bin'))[0] ?? '')
const here = platformName()
const own = join(binaries, process.platform, process.arch, 'onnxruntime_binding.node')

const library = join(
  own,
  '..',
  readdirSync(join(repository, own, '..')).find((name) => /^(?:lib)?onnxruntime\.(?:so|dll|1\.)/.test(name)) ?? '',
)

/** A binary of onnxruntime-node for another system or processor. */
const foreign = (place: string) => join(repository, binaries, place, 'onnxruntime_binding.node')
const otherSystem = foreign(process.platform === 'win32' ? 'linux/x64' : 'win32/x64')
const otherProcessor = foreign(`${process.platform}/${process.arch === 'x64' ? 'arm64' : 'x64'}`)

describe('broken onnxruntime-node', () => {
  beforeAll(async () => {
    writeFiles(folder, {
      'model.onnx': affineModel(),
      'main.mjs': `
import { loadModel } from 'unplugin-onnx/runtime'
const loaded = loadModel('engines/model.json', { session: 'worker' }).then((model) => model.load())
const error = await loaded.catch((error) => error)
console.log(JSON.stringify({ code: error.code, received: error.received }))`,
    })
    await copyRuntime(folder, repository, new Set(['onnxruntime']))
    await writeModel(
      await compile(join(folder, 'model.onnx'), {
        backends: ['onnxruntime'],
        onnxruntime: { portable: false },
        cache: { dir: join(folder, 'cache') },
      }),
      join(folder, 'engines'),
    )
  })

  const cases: readonly [title: string, harm: (app: string) => void, reason: string | RegExp][] = [
    [
      'that is not installed',
      (app) => rmSync(join(app, onnxruntime), { recursive: true }),
      'onnxruntime-node is not installed: npm install onnxruntime-node',
    ],
    [
      'without a build for this machine',
      (app) => rmSync(join(app, own)),
      new RegExp(
        `^onnxruntime-node could not be loaded: Cannot find module '[^\\n]+\\.node', which this ` +
          `node_modules lacks: install again on this machine \\(${here}\\)$`,
      ),
    ],
    [
      'whose library a tracer left out',
      (app) => rmSync(join(app, library)),
      `, which was left out next to the addon that needs it: list node_modules/onnxruntime-node/bin/*/` +
        `${process.platform}/${process.arch}/* among the files that the deployment traces or packs`,
    ],
    [
      'of another system',
      (app) => cpSync(otherSystem, join(app, own)),
      new RegExp(`^onnxruntime-node could not be loaded: [^\\n]+, which is built for another platform than ${here}$`),
    ],
    ...(existsSync(otherProcessor)
      ? [
          [
            'of another processor',
            (app: string) => cpSync(otherProcessor, join(app, own)),
            new RegExp(
              `^onnxruntime-node could not be loaded: [^\\n]+, which is built for another platform than ${here}$`,
            ),
          ] as [string, (app: string) => void, RegExp],
        ]
      : []),
  ]

  test.each(cases)('%s is an error of one sentence', async (_, harm, reason) => {
    const app = tempFolder()
    for (const part of ['main.mjs', 'engines', 'node_modules'])
      cpSync(join(folder, part), join(app, part), { recursive: true })
    harm(app)
    const { code, received } = JSON.parse((await run(process.execPath, ['main.mjs'], { cwd: app })).stdout) as Record<
      string,
      string
    >
    expect(code).toBe('NO_VARIANT')
    expect(/^onnxruntime fp32 \((.*)\)$/s.exec(received ?? '')?.[1]).toMatch(reason)
  })
})

test.skipIf(missingOpenVino())('a build without onnxruntime-node warns that it carries OpenVINO alone', async () => {
  const app = tempFolder()
  install(app, dependencyNames())
  for (const part of ['dist', 'package.json'])
    cpSync(join(repository, part), join(app, 'node_modules/unplugin-onnx', part), { recursive: true })
  writeFiles(app, { 'model.onnx': affineModel() })
  const bin = join(app, 'node_modules/unplugin-onnx/dist/plugin/cli.js')
  const { stderr } = await run(process.execPath, [bin, 'build', 'model.onnx', '--out', 'engines'], {
    cwd: app,
    env: { ...process.env, UNPLUGIN_ONNX_NATIVE: join(repository, 'native/build/Release') },
  })
  expect(stderr).toMatch(
    /the build has engines of openvino alone, which most machines cannot run: .*npm install onnxruntime-node/,
  )
})

// As after an installation without optional dependencies.
test('a parser of sources without its binary stops only `unplugin-onnx types`, with one sentence', async () => {
  const app = tempFolder()
  install(app, [...dependencyNames().filter((name) => name !== 'oxc-parser'), 'onnxruntime-node'])
  for (const part of ['oxc-parser', 'unplugin-onnx/dist', 'unplugin-onnx/package.json']) {
    cpSync(
      join(repository, part.startsWith('oxc') ? `node_modules/${part}` : part.replace('unplugin-onnx/', '')),
      join(app, 'node_modules', part),
      { recursive: true },
    )
  }
  writeFiles(app, { 'main.ts': `import model from './model.onnx'\nconsole.log(model)`, 'model.onnx': affineModel() })
  const command = (...args: string[]) =>
    run(process.execPath, [join(app, 'node_modules/unplugin-onnx/dist/plugin/cli.js'), ...args], { cwd: app })
  expect((await command('build', 'model.onnx', '--backend', 'onnxruntime', '--out', 'engines')).stdout).toContain(
    'engines',
  )
  await expect(command('types')).rejects.toMatchObject({
    stderr: expect.stringMatching(
      /^[^\n]*the parser of source text \(oxc-parser\) could not be loaded: expected its optional dependency for [^\n]+ in node_modules, received none that loads\. Install again[^\n]+\n$/,
    ),
  })
})

function dependencyNames(): readonly string[] {
  const text = readFileSync(join(repository, 'package.json'), 'utf8')
  return Object.keys((JSON.parse(text) as { readonly dependencies: object }).dependencies)
}

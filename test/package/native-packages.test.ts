import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { nodeFileTrace } from '@vercel/nft'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { LoadedAddon } from '../../native/load-addon.ts'
import { nativePlatforms, platformFields, platformName } from '../../native/platform.ts'
import { writeFiles } from '../support/app.ts'
import { tempFolder } from '../support/helpers.ts'
import { missingOpenVino } from '../support/openvino-models.ts'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const here = platformName()
const elsewhere = nativePlatforms.find((name) => name !== here && name !== `${here}-musl`) ?? ''
const folder = tempFolder()
let installed = 0

afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
})

describe('native addon', () => {
  test.each([
    ['that is installed', { [here]: `exports.openvino = () => ({ from: 'package' })` }, { addon: { from: 'package' } }],
    [
      'of no package',
      {},
      {
        reason:
          `@unplugin-onnx/native-${here} is not installed: add it to the dependencies, or install ` +
          'again with optional dependencies',
      },
    ],
    [
      'whose node_modules was copied from another machine',
      { [elsewhere]: '' },
      {
        reason:
          `node_modules was installed for ${elsewhere}, but this machine is ${here}: install again ` +
          'here, or configure the package manager to install for both',
      },
    ],
    ['that its package lacks', { [here]: '' }, { reason: `@unplugin-onnx/native-${here} has no addon 'openvino'` }],
    [
      'that was built for another system',
      { [here]: `exports.openvino = () => require('./openvino.node')` },
      {
        reason: expect.stringMatching(
          new RegExp(`openvino\\.node.*, which is built for another platform than ${here}$`),
        ),
      },
    ],
  ])('%s is loaded, or one sentence says why not', async (_, packages, expected) => {
    expect(await loadFrom(packages)).toEqual(expected)
  })

  test.runIf(process.platform === 'linux' && !here.endsWith('-musl')).each([
    ['by the loader of the program that runs', '\x7fELF /lib/ld-musl-x86_64.so.1\0'],
    ['by the report of a program that does not tell', '\x7fELF'],
  ])('an addon for glibc is not loaded on musl, which is recognized %s', async (_, program) => {
    writeFiles(folder, { program })
    const { execPath } = process
    process.execPath = join(folder, 'program')
    onTestFinished(() => {
      process.execPath = execPath
    })
    vi.spyOn(process.report, 'getReport').mockReturnValue({ header: {} })
    expect(await loadFrom({ [here]: '' })).toEqual({
      reason:
        `node_modules was installed for ${here}, but this machine is ${here}-musl: install again ` +
        'here, or configure the package manager to install for both',
    })
  })

  test('a machine without an addon gets the list of machines that have one', async () => {
    vi.spyOn(process, 'arch', 'get').mockReturnValue('mips')
    expect(await loadFrom({})).toEqual({
      reason: expect.stringMatching(/^there are native packages for linux-x64, .*, win32-x64, not for \w+-mips/),
    })
  })

  test('UNPLUGIN_ONNX_NATIVE comes first, and a wrong folder there is named', async () => {
    vi.stubEnv('UNPLUGIN_ONNX_NATIVE', join(folder, 'nowhere'))
    const { reason } = (await loadFrom({})) as { reason: string }
    expect(reason).toMatch(/^UNPLUGIN_ONNX_NATIVE: .*nowhere.openvino\.node does not exist; @unplugin-onnx/)
  })
})

describe('native packages', () => {
  test('npm picks the package for the system, the processor and the C library', () => {
    expect(Object.fromEntries(nativePlatforms.map((name) => [name, platformFields(name)]))).toEqual({
      'linux-x64': { os: ['linux'], cpu: ['x64'], libc: ['glibc'] },
      'linux-x64-musl': { os: ['linux'], cpu: ['x64'], libc: ['musl'] },
      'linux-arm64': { os: ['linux'], cpu: ['arm64'], libc: ['glibc'] },
      'linux-arm64-musl': { os: ['linux'], cpu: ['arm64'], libc: ['musl'] },
      'darwin-arm64': { os: ['darwin'], cpu: ['arm64'] },
      'win32-x64': { os: ['win32'], cpu: ['x64'] },
    })
  })

  test('publishing makes them optional dependencies of the same version', () => {
    const root = install({})
    vi.stubEnv('GITHUB_REPOSITORY', 'someone/unplugin-onnx')
    execFileSync(process.execPath, [join(root, 'dist/native/scripts/publish.js')], { cwd: root })
    const { version, optionalDependencies, repository } = JSON.parse(
      readFileSync(join(root, 'package.json'), 'utf8'),
    ) as Record<string, unknown>
    expect(optionalDependencies).toEqual(
      Object.fromEntries(nativePlatforms.map((name) => [`@unplugin-onnx/native-${name}`, version])),
    )
    expect(repository).toEqual({ type: 'git', url: 'git+https://github.com/someone/unplugin-onnx.git' })
  })

  test.skipIf(missingLinter() !== undefined)('actionlint accepts the workflows that build and publish them', () => {
    const linter = ['run', 'github.com/rhysd/actionlint/cmd/actionlint@v1.7.12', '-color=false']
    expect(spawnSync('go', linter, { cwd: repository, encoding: 'utf8' })).toMatchObject({ status: 0, stdout: '' })
  })

  test('tracers of deployments follow them, binaries included', async () => {
    const root = install({ [here]: `exports.openvino = () => require('./openvino.node')` })
    const { fileList } = await nodeFileTrace([join(root, 'dist/native/load-addon.js')], { base: folder })
    expect([...fileList].map((file) => file.replaceAll('\\', '/'))).toContainEqual(
      expect.stringMatching(`@unplugin-onnx/native-${here}/openvino.node$`),
    )
  })

  test.skipIf(missingOpenVino() !== undefined)('they make no external ArrayBuffers, which Electron forbids', () => {
    const built = join(repository, 'native/build/Release')
    const addons = readdirSync(built).filter((file) => file.endsWith('.node'))
    expect(addons).toContain('openvino.node')
    expect(
      addons.filter((file) => /create_external_(?:array)?buffer/.test(readFileSync(join(built, file), 'latin1'))),
    ).toEqual([])
  })

  test('the workflow builds each of them', () => {
    const workflow = readFileSync(join(repository, '.github/workflows/release.yml'), 'utf8')
    expect(nativePlatforms.filter((name) => !new RegExp(`(?:platform|name): ${name}\\b(?!-)`).test(workflow))).toEqual(
      [],
    )
  })
})

/** Why the workflows cannot be checked here; undefined when they can. With CI=true that is an error. */
function missingLinter(): string | undefined {
  if (spawnSync('go', ['version']).status === 0) return undefined
  const reason = 'the workflows are not checked: Go is not installed'
  if (process.env['CI'] === 'true') throw new Error(reason)
  console.warn(reason)
  return reason
}

/** Installs a copy of this package's native part beside native packages with these texts as their code. */
function install(packages: Readonly<Record<string, string>>): string {
  const modules = join(folder, String(installed++), 'node_modules')
  const root = join(modules, 'unplugin-onnx')
  cpSync(join(repository, 'dist/native'), join(root, 'dist/native'), { recursive: true })
  const { name, version, exports } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as Record<
    string,
    unknown
  >
  writeFiles(root, { 'package.json': JSON.stringify({ name, version, type: 'module', exports }) })
  for (const [platform, code] of Object.entries(packages)) {
    writeFiles(join(modules, '@unplugin-onnx', `native-${platform}`), {
      'package.json': JSON.stringify({ main: './index.cjs' }),
      'index.cjs': code,
      'openvino.node': new Uint8Array(4096).fill(7),
    })
  }
  return root
}

async function loadFrom(packages: Readonly<Record<string, string>>): Promise<LoadedAddon<'openvino'>> {
  const root = install(packages)
  const { loadAddon } = (await import(
    pathToFileURL(join(root, 'dist/native/load-addon.js')).href
  )) as typeof import('../../native/load-addon.ts')
  const loaded = loadAddon('openvino')
  return 'reason' in loaded
    ? { reason: loaded.reason.replace("the native addon 'openvino' could not be loaded: ", '') }
    : loaded
}

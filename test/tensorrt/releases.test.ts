// TensorRT's real libraries on a machine without a GPU: two releases of TensorRT 10 and one of TensorRT 11.
import { execFile } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { loadAddon } from '../../dist/native/load-addon.js'
import type { GpuProbe } from '../../native/load-addon.ts'
import { tensorrtReleases } from '../../native/tensorrt-releases.ts'
import { tensorrt } from '../../plugin/backend/tensorrt/backend.ts'
import type { TensorRtDetail } from '../../plugin/backend/tensorrt/settings.ts'
import { explain } from '../../plugin/cache/explain.ts'
import { readModel } from '../../plugin/onnx/model.ts'
import { compileOptions, resolveOptions } from '../../plugin/options/resolve.ts'
import { foreignLibrary } from '../../runtime/foreign-library.ts'
import { findTensorRt } from '../../runtime/tensorrt/library.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel } from '../support/models.ts'
import { root } from '../support/openvino-models.ts'
import { defaultSettings } from '../support/tensorrt-library.ts'

const releases = tensorrtReleases.map(({ version }) => {
  const major = version.split('.', 1)[0] === '11' ? 11 : 10
  const lib = join(root, '.vendor', `tensorrt-${version}`, 'lib')
  return {
    version,
    addon: `tensorrt_${major}` as const,
    file: join(lib, `libnvinfer.so.${major}`),
    parser: join(lib, `libnvonnxparser.so.${major}`),
    plugins: join(lib, `libnvinfer_plugin.so.${major}`),
    // The version of the parser's interface: 0.1.0 in TensorRT 10.
    parserVersion: major === 11 ? 200 : 100,
  }
})
const [newest, newest10, oldest10] = releases as [Release, Release, Release]
type Release = (typeof releases)[number]

const missing = missingReleases()
let foldersMade = 0
const folder = tempFolder()
const hasGpu = missing ? false : (await addonOf(newest).gpus()).reason === ''
const noDriver = 'no NVIDIA driver found (libcuda.so.1)'
const file = write('affine.onnx', affineModel())

describe.skipIf(missing).each(releases)('TensorRT $version', (release) => {
  test('names its own version and that of its parser', async () => {
    const { version, parserVersion } = release
    const any = loadAddon('tensorrt_rtx_1_7')
    if ('reason' in any) throw new Error(any.reason)
    await expect(any.addon.versions(release.file, release.parser)).resolves.toEqual({ version, parser: parserVersion })
  })

  test('registers the plugins of its plugin library', async () => {
    await expect(addonOf(release).plugins(release.file, release.plugins)).resolves.toBeUndefined()
  })

  test('refuses a file that is not a plugin library', async () => {
    await expect(addonOf(release).plugins(release.file, release.parser)).rejects.toThrow(
      `${release.parser} is not a TensorRT library: it lacks initLibNvInferPlugins`,
    )
  })

  test.skipIf(hasGpu)('builds and loads nothing without a driver, and says so in one sentence', async () => {
    const addon = addonOf(release)
    await expect(addon.build(release.file, buildSettings(release), () => {})).rejects.toThrow(exactly(noDriver))
    await expect(addon.load(release.file, new Uint8Array(100), loadSettings(release))).rejects.toThrow(
      exactly(noDriver),
    )
  })

  test.skipIf(hasGpu)('is found by the doctor, which says what is missing', async () => {
    const { stdout } = await doctor(join(release.file, '..', '..'))
    expect(stdout).toContain(`TensorRT ${release.version} builds on a GPU only, and ${noDriver}`)
  })

  test('is refused by the addon of another family, which would call wrong functions', async () => {
    const other = release.addon === 'tensorrt_10' ? newest : newest10
    const { file } = release
    const family = other.addon.replace('tensorrt_', '')
    const refused = `${file} is TensorRT ${release.version}, but this addon (${other.addon}) is for ${family}`
    await expect(addonOf(other).build(file, buildSettings(release), () => {})).rejects.toThrow(refused)
    await expect(addonOf(other).plugins(file, release.plugins)).rejects.toThrow(refused)
  })
})

describe.skipIf(missing)('the files of TensorRT', () => {
  test.each([newest, newest10])('of two releases in one folder are paired by major version: $version', (release) => {
    const both = folderWith([newest, newest10].flatMap(({ file, parser, plugins }) => [file, parser, plugins]))
    const inside = (path: string) => join(both, path.slice(path.lastIndexOf('/') + 1))
    expect(findTensorRt('tensorrt', inside(release.file))).toEqual({
      file: inside(release.file),
      parser: inside(release.parser),
      plugins: inside(release.plugins),
    })
  })

  test('are paired by the target of a link without a version', () => {
    const folder = folderWith([newest10.file, newest10.parser, newest.parser])
    const link = join(folder, 'libnvinfer.so')
    symlinkSync(newest10.file, link)
    expect(findTensorRt('tensorrt', link)).toMatchObject({ parser: join(folder, 'libnvonnxparser.so.10'), plugins: '' })
  })

  test.each<[string, () => string, RegExp, RegExp]>([
    [
      'with the parser of another major version',
      () => folderWith([newest.file, newest10.parser]),
      /libnvinfer\.so\.11 has only the ONNX parser of another TensorRT next to it, libnvonnxparser\.so\.10$/,
      /of one release/,
    ],
    [
      'without a parser',
      () => folderWith([oldest10.file]),
      /libnvinfer\.so\.10 has no ONNX parser next to it$/,
      /Install the whole SDK/,
    ],
    [
      'for Arm',
      () => patched('libnvinfer.so.10', 0xb7),
      /libnvinfer\.so\.10 is a library for arm64, and this process needs x64$/,
      /Install TensorRT for linux x64/,
    ],
    [
      'of 32 bits',
      () => patched('libnvinfer.so.11', 0x03),
      /libnvinfer\.so\.11 is a library for ia32, and this process needs x64$/,
      /Install TensorRT for linux x64/,
    ],
  ])('%s are refused, with the next step', async (_, library, reason, hint) => {
    const probe = await tensorrt.probe(resolveOptions({ tensorrt: { library: library() } }, folder), folder)
    expect(probe).toMatchObject({
      available: false,
      reason: expect.stringMatching(reason),
      hint: expect.stringMatching(hint),
    })
  })

  test('with a plugin library that does not load are refused by its name', async () => {
    const broken = folderWith([newest10.file, newest10.parser])
    writeFileSync(join(broken, 'libnvinfer_plugin.so.10'), 'no library')
    expect((await doctor(broken)).stdout).toMatch(
      /libnvinfer\.so\.10 cannot be used: .*libnvinfer_plugin\.so\.10: file too short/,
    )
  })
})

describe('the header of a library', () => {
  test.each<[string, Buffer, string | undefined]>([
    ['an ELF file for this processor', elf(process.arch === 'arm64' ? 0xb7 : 0x3e), undefined],
    ['an ELF file for an unknown processor', elf(0xf3), 'another processor'],
    ['a DLL for x86', pe(0x14c), 'ia32'],
    ['a text file', Buffer.from('not a library'), undefined],
    ['a DLL that ends early', pe(0x14c).subarray(0, 70), undefined],
  ])('of %s tells whether this process can load it', (name, bytes, processor) => {
    const expected = processor && `a library for ${processor}, and this process needs ${process.arch}`
    expect(foreignLibrary(write(name.replaceAll(' ', '-'), bytes))).toBe(expected)
  })
})

describe.skipIf(missing)('the key of a plan', () => {
  test('differs between releases, and names them', async () => {
    const facts = await Promise.all([newest, newest10, oldest10].map(factsOf))
    expect(explain(facts[2]!, facts[1]!)).toMatch(
      /TensorRT 10\.6\.0\.26 -> 10\.15\.1\.29, size of the library \d+ -> \d+/,
    )
    expect(explain(facts[1]!, facts[0]!)).toMatch(
      /TensorRT 10\.15\.1\.29 -> 11\.2\.1\.2, ONNX parser 100 -> 200, native addon tensorrt_10 -> tensorrt_11/,
    )
  })
})

/** Why these tests cannot run here; undefined when they can. With CI=true that is an error. */
function missingReleases(): string | undefined {
  const machine = `${process.platform} ${process.arch}`
  if (machine !== 'linux x64') {
    console.warn(`tests with TensorRT's libraries are skipped: they are for Linux x64, this is ${machine}`)
    return machine
  }
  const needed = releases.flatMap(({ file, addon }) => [file, join(root, 'native/build/Release', `${addon}.node`)])
  const absent = needed.find((path) => !existsSync(path))
  const reason = absent && `${absent} is missing: run \`npm run build:native\``
  if (reason && process.env['CI'] === 'true') throw new Error(reason)
  if (reason) console.warn(`tests with TensorRT's libraries are skipped: ${reason}`)
  return reason
}

function addonOf({ addon }: Release) {
  const loaded = loadAddon(addon)
  if ('reason' in loaded) throw new Error(loaded.reason)
  return loaded.addon
}

function buildSettings({ parser, plugins }: Release) {
  return {
    parser,
    plugins,
    model: file,
    output: join(folder, 'never.engine'),
    computeCapabilities: [],
    ...defaultSettings,
    verbose: false,
  } as const
}

function loadSettings({ plugins }: Release) {
  return {
    device: 0,
    contexts: 1,
    cudaGraph: true,
    timed: false,
    runtimeCache: new Uint8Array(),
    hostCode: false,
    plugins,
  }
}

async function doctor(sdk: string): Promise<{ stdout: string }> {
  const env = { ...process.env, TENSORRT_ROOT: sdk }
  return promisify(execFile)(process.execPath, [join(root, 'dist/plugin/cli.js'), 'doctor', '--root', folder], { env })
}

/** Facts of the key on a machine with a GPU: the library is the real one, the driver is data. */
async function factsOf({ version, parserVersion, ...files }: Release) {
  const gpu = { name: 'NVIDIA H100', computeCapability: 'sm90', multiprocessors: 132, l2Bytes: 50 * 2 ** 20 }
  const driver: GpuProbe = {
    reason: '',
    driver: '580.95.05',
    cuda: '13.0',
    gpus: [{ ...gpu, memoryBusBits: 5120, memoryBytes: 80 * 2 ** 30 }],
  }
  const bytes = statSync(files.file).size
  const { platform, arch } = process
  const detail: TensorRtDetail = { ...files, parserVersion, bytes, driver, platform, arch }
  const here = { available: true, version, detail } as const
  const options = compileOptions(resolveOptions({}, folder), { file, query: {} })
  const found = { ...here, detail: { here, elsewhere: [] } }
  const [plan] = tensorrt.plan(await readModel(file), options, found)
  return plan!.facts
}

function folderWith(files: readonly string[]): string {
  const made = join(folder, `sdk-${foldersMade++}`)
  mkdirSync(made)
  for (const file of files) symlinkSync(file, join(made, file.slice(file.lastIndexOf('/') + 1)))
  return made
}

/** A folder with the start of a library for another processor. */
function patched(name: string, machine: number): string {
  const made = folderWith([])
  const start = Buffer.alloc(4096)
  const source = openSync(newest.file, 'r')
  readSync(source, start, 0, start.length, 0)
  closeSync(source)
  start.writeUInt16LE(machine, 18)
  writeFileSync(join(made, name), start)
  return made
}

function elf(machine: number): Buffer {
  const header = Buffer.alloc(64)
  header.write('\x7fELF', 'latin1')
  header.writeUInt16LE(machine, 18)
  return header
}

function pe(machine: number): Buffer {
  const header = Buffer.alloc(256)
  header.write('MZ', 'latin1')
  header.writeUInt32LE(128, 0x3c)
  header.write('PE\0\0', 128, 'latin1')
  header.writeUInt16LE(machine, 132)
  return header
}

function write(name: string, bytes: Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return path
}

function exactly(text: string): RegExp {
  return new RegExp(`^${text.replaceAll(/[().]/g, String.raw`\$&`)}$`)
}

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { deflateRawSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { fetchWheel, type Wheel } from '../../native/wheel.ts'
import { unpackZip } from '../../native/zip.ts'
import { installables } from '../../plugin/cli/installables.ts'
import { setUpLibrary } from '../../plugin/cli/set-up-library.ts'
import { setupFolder } from '../../runtime/library.ts'
import { findOpenVino } from '../../runtime/openvino/library.ts'
import { tempFolder } from '../support/helpers.ts'
import { missingOpenVino, root } from '../support/openvino-models.ts'

let folder: string
beforeEach(() => {
  folder = tempFolder()
})
afterEach(() => vi.unstubAllEnvs())

const everything = (entry: string): string => entry

describe('wheel', () => {
  const entries = { 'lib/a.so': 'library '.repeat(100), 'lib/empty': '', 'pkg-1.0.dist-info/LICENSE': 'Apache' }

  test('a wheel is unpacked, in part or whole', async () => {
    const file = write('a.whl', zip(entries))
    await unpackZip(file, join(folder, 'whole'), everything)
    expect(readFileSync(join(folder, 'whole/lib/a.so'), 'utf8')).toBe(entries['lib/a.so'])
    expect(readFileSync(join(folder, 'whole/lib/empty'), 'utf8')).toBe('')
    await unpackZip(file, join(folder, 'part'), (entry) => (entry.startsWith('lib/') ? entry.slice(4) : undefined))
    expect(readdirSync(join(folder, 'part')).sort()).toEqual(['a.so', 'empty'])
  })

  test.each<[string, () => Buffer, string]>([
    ['that is not a zip file', () => Buffer.from('nothing'), 'not a zip file'],
    ['that is empty', () => Buffer.alloc(0), 'not a zip file'],
    [
      'that lost its middle',
      () => Buffer.concat([zip(entries).subarray(0, 20), zip(entries).subarray(-100)]),
      'zip file',
    ],
    ['that points outside its folder', () => zip({ '../out': 'x' }), 'points outside its folder'],
    ['with a broken stream', () => Buffer.from(zip(entries)).fill(0xff, 45, 60), 'lib/a.so cannot be unpacked'],
  ])('a wheel %s is an error and leaves nothing', async (_, bytes, message) => {
    const file = write('bad.whl', bytes())
    await expect(unpackZip(file, join(folder, 'unpacked'), everything)).rejects.toThrow(message)
    expect(readdirSync(folder)).toEqual(['bad.whl'])
  })

  test('a wheel that another process unpacked meanwhile is used', async () => {
    const file = write('a.whl', zip(entries))
    await Promise.all([1, 2, 3].map(() => unpackZip(file, join(folder, 'whole'), everything)))
    expect(readdirSync(folder).sort()).toEqual(['a.whl', 'whole'])
  })
})

// The fake is a shell script.
describe.skipIf(process.platform === 'win32')('download', () => {
  const bytes = zip({ 'lib/a.so': 'library' })
  const wheel: Wheel = {
    name: 'some-lib',
    version: '1.2',
    python: '3.11',
    platform: 'manylinux_2_28_x86_64',
    sha256: sha256(bytes),
  }

  test('a download asks pip once, for exactly one wheel', async () => {
    fakePython(
      `echo "$@" >> "${folder}/calls"; cp "${write('served', bytes)}" ` +
        `"${downloads()}/some_lib-1.2-cp311-cp311-linux.whl"`,
    )
    const file = await fetchWheel(wheel, { downloads: downloads(), indexUrl: 'https://index.example/simple' })
    expect(readFileSync(file)).toEqual(bytes)
    expect(await fetchWheel(wheel, { downloads: downloads() })).toBe(file)
    expect(readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n')).toEqual([
      '-m pip download --disable-pip-version-check --no-deps --only-binary=:all: --dest ' +
        `${downloads()} --python-version 3.11 --platform manylinux_2_28_x86_64 --index-url ` +
        'https://index.example/simple some-lib==1.2',
    ])
  })

  test('a download of other bytes is refused', async () => {
    fakePython(
      `cp "${write('served', zip({ 'lib/a.so': 'tampered' }))}" "${downloads()}/some_lib-1.2-cp311-cp311-linux.whl"`,
    )
    await expect(fetchWheel(wheel, { downloads: downloads() })).rejects.toThrow(`no file with SHA-256 ${wheel.sha256}`)
  })

  test('a failed download has the message of pip', async () => {
    fakePython('echo "ERROR: No matching distribution found for some-lib==1.2" >&2; exit 1')
    await expect(fetchWheel(wheel, { downloads: downloads() })).rejects.toThrow(
      'pip failed: ERROR: No matching distribution found',
    )
  })

  test('a download without a Python with pip is an error', async () => {
    vi.stubEnv('PATH', folder)
    await expect(fetchWheel(wheel, { downloads: downloads() })).rejects.toThrow(
      'pip was not found, but downloading needs it (python3: not found or without pip; python: ',
    )
  })

  test('an aborted download stops', async () => {
    fakePython('sleep 60')
    const stopped = fetchWheel(wheel, { downloads: downloads(), signal: AbortSignal.timeout(50) })
    await expect(stopped).rejects.toMatchObject({ name: 'TimeoutError' })
  })
})

describe('unplugin-onnx setup', () => {
  beforeEach(() => {
    for (const name of ['XDG_CACHE_HOME', 'LOCALAPPDATA', 'HOME']) vi.stubEnv(name, folder)
  })

  test('an index without HTTPS is refused', async () => {
    await expect(setUpLibrary('openvino', { indexUrl: 'http://index.example' })).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringContaining('https://'),
    })
  })

  test('a machine without a wheel gets instructions', async () => {
    vi.spyOn(process, 'arch', 'get').mockReturnValue('s390x')
    const code = 'BACKEND_UNAVAILABLE'
    await expect(setUpLibrary('openvino')).rejects.toMatchObject({
      code,
      message: expect.stringMatching(/linux-x64.*s390x.*OPENVINO_ROOT/),
    })
    vi.restoreAllMocks()
  })

  test.skipIf(missingOpenVino())(
    'a downloaded wheel of OpenVINO is unpacked where every project finds it',
    async () => {
      const kept = setupFolder('downloads')
      mkdirSync(kept, { recursive: true })
      const wheels = join(root, '.vendor', 'downloads')
      const name = readdirSync(wheels).find((entry) => entry.startsWith('openvino-')) ?? ''
      copyFileSync(join(wheels, name), join(kept, name))
      const lines: string[] = []
      const installed = await setUpLibrary('openvino', { log: (line) => lines.push(line) })
      expect(installed).toBe(setupFolder(installables.openvino.folders[1]))
      expect(readdirSync(kept)).toEqual([])
      expect(existsSync(join(installed, 'licenses', 'LICENSE'))).toBe(true)
      expect(await setUpLibrary('openvino', { log: (line) => lines.push(line) })).toBe(installed)
      expect(lines.at(-1)).toContain('is already set up')
      vi.stubEnv('OPENVINO_ROOT', '')
      expect(findOpenVino()).toEqual({ file: expect.stringContaining(installed) })
    },
  )
})

test.skipIf(missingOpenVino())(
  'the platform packages hold what running on the CPU needs, and are found in the app',
  async () => {
    const modules = join(folder, 'node_modules', '@unplugin-onnx')
    await promisify(execFile)(process.execPath, [join(root, 'dist/native/scripts/pack.js'), modules], { cwd: root })
    const platform = `${process.platform}-${process.arch}`
    expect(readdirSync(modules).sort()).toEqual([`native-${platform}`, `openvino-${platform}`])
    const script = `
    import { createRequire } from 'node:module'
    import { findOpenVino } from ${JSON.stringify(pathToFileURL(join(root, 'dist/runtime/openvino/library.js')).href)}
    const addon = createRequire(process.cwd() + '/')('@unplugin-onnx/native-${platform}').openvino()
    const { file } = findOpenVino()
    const { devices } = await addon.probe(file)
    const names = devices.map(({ name }) => name)
    console.log(JSON.stringify({ file, names, requirements: devices[0].runtimeRequirements }))`
    const env = { ...process.env, OPENVINO_ROOT: '' }
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
      cwd: folder,
      env,
    })
    expect(JSON.parse(stdout)).toEqual({
      file: expect.stringContaining(join(modules, `openvino-${platform}`)),
      names: ['CPU'],
      requirements: expect.stringContaining('isa='),
    })
  },
)

function write(name: string, bytes: Uint8Array): string {
  const file = join(folder, name)
  writeFileSync(file, bytes)
  return file
}

function downloads(): string {
  return join(folder, 'downloads')
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function fakePython(script: string): void {
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'python3'), `#!/bin/sh\n${script}\n`)
  chmodSync(join(bin, 'python3'), 0o755)
  vi.stubEnv('PATH', `${bin}${delimiter}${process.env['PATH']}`)
}

/** A zip file as wheels are: deflated entries, sizes in the local headers too. */
function zip(entries: Readonly<Record<string, string>>): Buffer {
  const locals: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const [name, text] of Object.entries(entries)) {
    const data = deflateRawSync(text)
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(8, 4)
    common.writeUInt32LE(data.length, 14)
    common.writeUInt32LE(text.length, 18)
    common.writeUInt16LE(Buffer.byteLength(name), 22)
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, Buffer.from(name), data])
    const tail = Buffer.alloc(14)
    tail.writeUInt32LE(offset, 10)
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00', 'latin1'), common, tail, Buffer.from(name)]))
    locals.push(local)
    offset += local.length
  }
  const list = Buffer.concat(directory)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(directory.length, 8)
  end.writeUInt16LE(directory.length, 10)
  end.writeUInt32LE(list.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...locals, list, end])
}

// Setting up TensorRT: by Maven, which a shell script stands in for, and from an archive of the user's.
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { artifactFile, fetchArtifact, type MavenArtifact } from '../../native/maven.ts'
import { listSetups, removeSetups, setUpLibrary } from '../../plugin/cli/set-up-library.ts'
import { setupFolder } from '../../runtime/library.ts'
import { findTensorRt } from '../../runtime/tensorrt/library.ts'
import { tempFolder } from '../support/helpers.ts'
import { root } from '../support/openvino-models.ts'

const isLinux = process.platform === 'linux' && process.arch === 'x64'
if (!isLinux) console.warn('tests of `setup tensorrt` are skipped: its packages are for Linux x64')

let folder: string
const repository = () => join(folder, 'repository')
beforeEach(() => {
  folder = tempFolder()
  for (const name of ['XDG_CACHE_HOME', 'HOME']) vi.stubEnv(name, folder)
  for (const name of ['TENSORRT_ROOT', 'CUDA_PATH', 'LD_LIBRARY_PATH']) vi.stubEnv(name, '')
})
afterEach(() => vi.unstubAllEnvs())

describe.skipIf(!isLinux)('a jar of Maven', () => {
  const bytes = Buffer.from('a jar')
  const artifact: MavenArtifact = {
    group: 'org.example',
    name: 'lib',
    version: '1.2-3',
    classifier: 'linux-x86_64-redist',
    bytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  }
  test('is asked for once, by its coordinates', async () => {
    const jar = artifactFile(artifact, repository())
    fakeMaven(`echo "$@" >> "${folder}/calls"; mkdir -p "${dirname(jar)}"; printf 'a jar' > "${jar}"`)
    expect(readFileSync(await fetchArtifact(artifact, { repository: repository() }))).toEqual(bytes)
    expect(await fetchArtifact(artifact, { repository: repository() })).toBe(jar)
    expect(readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n')).toEqual([
      `--batch-mode --quiet -Dmaven.repo.local=${repository()} dependency:get ` +
        '-Dartifact=org.example:lib:1.2-3:jar:linux-x86_64-redist -Dtransitive=false',
    ])
  })

  test.each<[string, () => string, RegExp]>([
    [
      'with other bytes is refused and removed',
      () => {
        const jar = artifactFile(artifact, repository())
        return `mkdir -p "${dirname(jar)}"; printf tampered > "${jar}"`
      },
      /^Maven downloaded org\.example:lib:1\.2-3:jar:linux-x86_64-redist, but no file with SHA-256 /,
    ],
    [
      'that Maven cannot get gives its reason',
      () => `echo "[ERROR] Could not transfer artifact: Unknown host"; echo "[ERROR] more"; exit 1`,
      /^Maven failed: Could not transfer artifact: Unknown host$/,
    ],
  ])('%s', async (_, script, message) => {
    fakeMaven(script())
    await expect(fetchArtifact(artifact, { repository: repository() })).rejects.toThrow(message)
    expect(existsSync(artifactFile(artifact, repository()))).toBe(false)
  })

  test('needs Maven', async () => {
    vi.stubEnv('PATH', folder)
    await expect(fetchArtifact(artifact, { repository: repository() })).rejects.toThrow(
      'Maven is needed to download, and mvn was not found',
    )
  })
})

describe.skipIf(!isLinux)('unplugin-onnx setup tensorrt', () => {
  test('asks for an agreement to the license first, and names the size', async () => {
    await expect(setUpLibrary('tensorrt')).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringMatching(
        /expected --accept-license, received no agreement to NVIDIA's own license, which covers TensorRT 11\.2\.1\.2, .*556 MB/,
      ),
    })
  })

  test('names the releases that there are', async () => {
    await expect(setUpLibrary('tensorrt', { release: '8' })).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringMatching(/--release: expected 11 or 10, received 8/),
    })
  })

  test('that fails, offline or by a wrong checksum, leaves nothing installed', async () => {
    fakeMaven('echo "[ERROR] Unknown host"; exit 1')
    await expect(setUpLibrary('tensorrt', { acceptLicense: true })).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: expect.stringMatching(/Maven failed: Unknown host.*--from/),
    })
    expect(await listSetups()).toEqual([])
    expect(readdirSync(setupFolder(''))).toEqual([])
  })

  test.each<[string, (files: Readonly<Record<string, string>>) => string]>([
    ['.tar.gz archive with links', tarball],
    ['.zip archive', zipped],
    ['jar', (files) => zipped(files, 'lib.jar')],
  ])('unpacks a %s of the user, which is found, listed and removed', async (_, pack) => {
    const archive = pack({
      'TensorRT-10.9.0.34/lib/libnvinfer.so.10.9.0': 'library',
      'TensorRT-10.9.0.34/lib/libnvonnxparser.so.10.9.0': 'parser',
      'TensorRT-10.9.0.34/lib/libnvinfer_plugin.so.10.9.0': 'plugins',
      'TensorRT-10.9.0.34/lib/libnvinfer_static.a': 'not needed',
      'TensorRT-10.9.0.34/bin/trtexec': 'not needed',
    })
    const installed = await setUpLibrary('tensorrt', { from: archive })
    expect(readdirSync(join(installed, 'lib')).filter((name) => !/\.so(\.10)?$/.test(name))).toEqual([
      'libnvinfer.so.10.9.0',
      'libnvinfer_plugin.so.10.9.0',
      'libnvonnxparser.so.10.9.0',
    ])
    expect(findTensorRt('tensorrt')).toMatchObject({
      file: expect.stringContaining(join(installed, 'lib', 'libnvinfer.so')),
      parser: expect.stringContaining('libnvonnxparser.so'),
      plugins: expect.stringContaining('libnvinfer_plugin.so'),
    })
    expect(await listSetups()).toEqual([{ library: 'tensorrt', folder: installed, bytes: 20 }])
    expect(await removeSetups('tensorrt')).toHaveLength(1)
    expect(existsSync(installed)).toBe(false)
    expect(await removeSetups('tensorrt')).toEqual([])
  })

  test('replaces what an earlier archive left', async () => {
    await setUpLibrary('tensorrt', { from: zipped({ 'libnvinfer.so.10': 'first', 'libnvinfer_lean.so.10': 'first' }) })
    const installed = await setUpLibrary('tensorrt', { from: zipped({ 'libnvinfer.so.11': 'second' }, 'b.zip') })
    expect(readdirSync(join(installed, 'lib'))).toEqual(['libnvinfer.so.11'])
  })

  test.each<[string, () => string, string, RegExp]>([
    [
      'is not there',
      () => join(folder, 'nowhere.zip'),
      'OPTION_INVALID',
      /--from: expected a file, received .*nowhere\.zip/,
    ],
    ['holds other files', () => zipped({ 'readme.txt': 'x' }), 'BACKEND_UNAVAILABLE', /holds none of its files/],
    [
      'is a truncated .tar.gz',
      () => write('cut.tar.gz', readFileSync(tarball({ 'lib/libnvinfer.so.10': 'x'.repeat(9999) })).subarray(0, 60)),
      'BACKEND_UNAVAILABLE',
      /tar failed: /,
    ],
    ['is a text file', () => write('a.zip', Buffer.from('text')), 'BACKEND_UNAVAILABLE', /not a zip file/],
    [
      'has another ending',
      () => write('a.rar', Buffer.from('text')),
      'BACKEND_UNAVAILABLE',
      /is not a \.zip, \.jar, \.whl or \.tar\.gz file/,
    ],
  ])('an archive that %s is an error and leaves nothing', async (_, archive, code, message) => {
    await expect(setUpLibrary('tensorrt', { from: archive() })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    })
    expect(await listSetups()).toEqual([])
    expect(existsSync(setupFolder('')) ? readdirSync(setupFolder('')) : []).toEqual([])
  })

  test('two at once install one', async () => {
    const archive = zipped({ 'libnvinfer.so.10': 'library' })
    const [first, second] = await Promise.all([1, 2].map(() => setUpLibrary('tensorrt', { from: archive })))
    expect(first).toBe(second)
    expect(readdirSync(setupFolder(''))).toEqual(['tensorrt-from-file'])
  })

  test('that is interrupted by Ctrl-C ends, and leaves nothing installed', async () => {
    fakeMaven('echo started; exec sleep 60')
    const child = spawn(process.execPath, [join(root, 'dist/plugin/cli.js'), 'setup', 'tensorrt', '--accept-license'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    await new Promise<void>((resolve) =>
      child.stderr.on('data', (text: Buffer) => text.includes('downloading') && resolve()),
    )
    child.kill('SIGINT')
    const code = await new Promise((resolve) => child.on('exit', resolve))
    expect(code).toBe(1)
    expect(await listSetups()).toEqual([])
    expect(readdirSync(setupFolder(''))).toEqual([])
  })
})

function fakeMaven(script: string): void {
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'mvn'), `#!/bin/sh\n${script}\n`)
  chmodSync(join(bin, 'mvn'), 0o755)
  vi.stubEnv('PATH', `${bin}${delimiter}${process.env['PATH']}`)
}

function write(name: string, bytes: Uint8Array): string {
  const file = join(folder, name)
  writeFileSync(file, bytes)
  return file
}

function tarball(files: Readonly<Record<string, string>>): string {
  const tree = treeOf(files)
  for (const name of Object.keys(files)) {
    const link = /^(.*\.so)\.\d+\.\d+\.\d+$/.exec(name)?.[1]
    if (link) execFileSync('ln', ['-s', name.slice(name.lastIndexOf('/') + 1), join(tree, link)])
  }
  const archive = join(folder, 'sdk.tar.gz')
  execFileSync('tar', ['-czf', archive, '-C', tree, '.'])
  return archive
}

function zipped(files: Readonly<Record<string, string>>, name = 'sdk.zip'): string {
  const archive = join(folder, name)
  execFileSync('python3', ['-m', 'zipfile', '-c', archive, ...readdirSync(treeOf(files))], {
    cwd: join(folder, 'tree'),
  })
  return archive
}

function treeOf(files: Readonly<Record<string, string>>): string {
  const tree = join(folder, 'tree')
  execFileSync('rm', ['-rf', tree])
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(tree, name)), { recursive: true })
    writeFileSync(join(tree, name), text)
  }
  return tree
}

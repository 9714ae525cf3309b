import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { compile, type Options } from 'unplugin-onnx'
import { http, s3, type RemoteStore } from 'unplugin-onnx/cache'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../support/free-port.ts'
import { tempFolder } from '../support/helpers.ts'
import { ocrModel } from '../support/openvino-models.ts'
import { digestOf, once as madeOnce, orSkip, repository, vendorFolder } from '../support/python.ts'

const run = promisify(execFile)
const folder = tempFolder()
const secret = 'a secret of at least 32 characters'

const turbo = await orSkip('turborepo-remote-cache', async () => {
  const manifests = ['package.json', 'package-lock.json'].map((name) =>
    join(repository, 'test', 'servers', 'turborepo', name),
  )
  const into = process.env['SERVERS_TURBO'] ?? join(vendorFolder, `turbo-${digestOf(manifests)}`)
  if (process.env['SERVERS_TURBO']) return into
  await madeOnce(into, async () => {
    mkdirSync(into, { recursive: true })
    for (const file of manifests)
      copyFileSync(file, join(into, file.endsWith('lock.json') ? 'package-lock.json' : 'package.json'))
    await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: into })
  })
  return into
})

const versitygw = await orSkip('versitygw', async () => {
  const into = process.env['SERVERS_VERSITYGW'] ?? join(vendorFolder, 'versitygw-1.8.0')
  if (!process.env['SERVERS_VERSITYGW'])
    await madeOnce(into, () =>
      run('go', ['install', 'github.com/versity/versitygw/cmd/versitygw@v1.8.0'], {
        env: { ...process.env, GOBIN: into },
      }),
    )
  return join(into, 'versitygw')
})

const children: ChildProcess[] = []
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
})

async function start(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  url: string,
): Promise<void> {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: 'ignore' })
  children.push(child)
  const failed = once(child, 'exit').then(([code]) =>
    Promise.reject(new Error(`${command} ended with ${String(code)}`)),
  )
  await Promise.race([failed, answers(url)])
}

async function answers(url: string): Promise<void> {
  while (
    !(await fetch(url).then(
      () => true,
      () => false,
    ))
  )
    await new Promise((resolve) => setTimeout(resolve, 200))
}

interface Access {
  /** A store that may write, one that may only read, and one with wrong credentials. */
  readonly writer: RemoteStore
  readonly reader: RemoteStore
  readonly stranger: RemoteStore
  /** Changes the last byte of what the server has under each key. */
  poison(keys: readonly string[]): Promise<void>
}

async function startTurbo(): Promise<Access> {
  const port = await freePort()
  const files = join(folder, 'turbo')
  mkdirSync(files, { recursive: true })
  const env = {
    TURBO_TOKEN: 'token',
    PORT: String(port),
    STORAGE_PROVIDER: 'local',
    STORAGE_PATH: files,
    NODE_ENV: 'production',
    LOG_LEVEL: 'silent',
  }
  const main = join(turbo ?? '', 'node_modules', 'turborepo-remote-cache', 'dist', 'cli.js')
  await start(process.execPath, [main], env, `http://127.0.0.1:${port}/v8/artifacts/status`)
  const url = `http://127.0.0.1:${port}/v8/artifacts/{key}?slug=team`
  const writer = http({ url, writeToken: 'token' })
  return {
    writer,
    reader: http({ url, token: 'token' }),
    stranger: http({ url, token: 'wrong' }),
    poison: (keys) => poisonByPut(writer, keys),
  }
}

async function startS3(): Promise<Access> {
  const port = await freePort()
  const files = join(folder, 's3')
  mkdirSync(join(files, 'engines'), { recursive: true })
  const env = { ROOT_ACCESS_KEY: 'key', ROOT_SECRET_KEY: 'secretsecret' }
  const endpoint = `http://127.0.0.1:${port}`
  await start(versitygw ?? '', ['--port', `127.0.0.1:${port}`, 'posix', files], env, endpoint)
  const options = { endpoint, bucket: 'engines', prefix: 'onnx/', accessKeyId: 'key', secretAccessKey: 'secretsecret' }
  return {
    writer: s3({ ...options, write: true }),
    reader: s3(options),
    stranger: s3({ ...options, secretAccessKey: 'wrong' }),
    async poison() {
      poisonFiles(files)
    },
  }
}

describe.each([
  ['turborepo-remote-cache', turbo, startTurbo],
  ['versitygw (S3)', versitygw, startS3],
] as const)('%s', (name, installed, startServer) => {
  describe.skipIf(!installed)('as a remote cache', () => {
    let access: Access
    const model = join(folder, 'cls.onnx')
    beforeAll(async () => {
      copyFileSync(ocrModel('cls_infer.onnx'), model)
      access = await startServer()
    })

    let machines = 0
    async function build(store: RemoteStore, options: Options = {}) {
      const warnings: string[] = []
      const dir = join(folder, `${name} ${++machines}`)
      const cache = { dir, remote: { store, secret } }
      const compiled = await compile(
        model,
        { root: folder, backends: ['onnxruntime'], cache, ...options },
        { warn: (line) => warnings.push(line) },
      )
      const engines = compiled.variants.map(({ artifact, cache: { reason } }) => ({
        reason,
        bytes: readFileSync(artifact.file),
      }))
      return {
        reasons: engines.map(({ reason }) => reason),
        bytes: engines.map(({ bytes }) => bytes),
        keys: compiled.variants.map(({ artifact }) => artifact.key.digest),
        warnings,
      }
    }

    test('gives the same bytes without compiling, and refuses what is wrong', async () => {
      const first = await build(access.writer)
      expect(new Set(first.reasons)).toEqual(new Set(['miss: new']))
      expect(first.warnings).toEqual([])
      const second = await build(access.reader, { frozen: true })
      expect(new Set(second.reasons)).toEqual(new Set(['hit: remote']))
      expect(second.bytes).toEqual(first.bytes)

      const stranger = await build(access.stranger)
      expect(new Set(stranger.reasons)).toEqual(new Set(['miss: new']))
      expect(stranger.warnings).toEqual([expect.stringMatching(/status 40[013]/)])

      // Another writer of the same key does no harm: 412, or the same bytes.
      await build({ get: async () => undefined, ...(access.writer.put && { put: access.writer.put }) })
      await access.poison(first.keys)
      const poisoned = await build(access.reader)
      expect(new Set(poisoned.reasons)).toEqual(new Set(['miss: new']))
      expect(poisoned.warnings.length).toBeGreaterThan(0)
      expect(poisoned.warnings[0]).toMatch(/another digest|signature is wrong/)
    })
  })
})

function poisonFiles(into: string): void {
  const names = readdirSync(into, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  for (const entry of names) {
    const file = join(entry.parentPath, entry.name)
    const bytes = readFileSync(file)
    if (bytes.length < 100_000) continue
    bytes[bytes.length - 1]! ^= 1
    writeFileSync(file, bytes)
  }
}

/** What a pull request with a write token could do. */
async function poisonByPut({ get, put }: RemoteStore, keys: readonly string[]): Promise<void> {
  const { signal } = new AbortController()
  for (const key of keys) {
    const chunks: Uint8Array[] = []
    for await (const chunk of (await get(key, { signal })) ?? []) chunks.push(chunk)
    const bytes = Buffer.concat(chunks)
    bytes[bytes.length - 1]! ^= 1
    const file = join(folder, 'poison')
    writeFileSync(file, bytes)
    await put?.(key, file, { signal })
  }
}

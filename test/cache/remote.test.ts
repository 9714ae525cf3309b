import { generateKeyPairSync } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { createReadStream, existsSync, readFileSync } from 'node:fs'
import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { http } from 'unplugin-onnx/cache'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { cacheKey } from '../../plugin/cache/key.ts'
import { openStore, type Store } from '../../plugin/cache/store.ts'
import type { RemoteCacheOptions, RemoteStore } from '../../plugin/options/remote-types.ts'
import { tempFolder } from '../support/helpers.ts'

const secret = 'a secret of at least 32 characters'
const engine = Buffer.from('the bytes of an engine')
const key = cacheKey({ model: 'abc', backend: 'onnxruntime' })
const request = { key, importKey: 'models/pose.onnx', label: 'pose' }

/** A store in memory. */
function memoryStore(): RemoteStore & { readonly bodies: Map<string, Buffer> } {
  const bodies = new Map<string, Buffer>()
  return {
    bodies,
    async get(name) {
      const body = bodies.get(name)
      return body && oneByOne(body)
    },
    async put(name, file) {
      bodies.set(name, readFileSync(file))
    },
  }
}

async function* oneByOne(body: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.length; at += 7) yield body.subarray(at, at + 7)
}

/** Changes one byte, from the end if `at` is negative. */
function change(at: number): (body: Buffer) => Buffer {
  return (body) => {
    const changed = Buffer.from(body)
    const index = at < 0 ? changed.length + at : at
    changed[index] = (changed[index] ?? 0) ^ 1
    return changed
  }
}

/** A machine: a cache folder of its own. */
function machine(remote?: RemoteCacheOptions, frozen = false) {
  const warnings: string[] = []
  const folder = tempFolder()
  const store: Store = openStore({
    dir: folder,
    maxSize: 1e9,
    maxAge: 1e9,
    warn: (line) => warnings.push(line),
    remote,
    frozen,
  })
  let builds = 0
  return {
    warnings,
    store,
    builds: () => builds,
    async build(bytes: Buffer = engine) {
      const stored = await store.getOrBuild(request, async (output) => {
        builds++
        await writeFile(output, bytes)
        return { notes: ['a report'] }
      })
      await store.collect()
      return { ...stored, bytes: await readFile(stored.artifact.file) }
    },
  }
}

describe('a remote cache', () => {
  test('gives a machine with an empty cache the engine that another one built', async () => {
    const store = memoryStore()
    const built = await machine({ store, secret }).build()
    const other = machine({ store, secret })
    const read = await other.build()
    expect(built.reason).toBe('miss: new')
    expect(read).toMatchObject({ hit: true, reason: 'hit: remote', metadata: { notes: ['a report'] } })
    expect(read.bytes).toEqual(engine)
    expect(other.builds()).toBe(0)
    expect(await other.store.why(request.importKey)).toMatchObject({ reason: 'hit: remote' })
    expect((await other.build()).reason).toBe('hit')
    expect(other.warnings).toEqual([])
  })

  test('with Ed25519 keys can be read with the public key, and not be written', async () => {
    const pair = generateKeyPairSync('ed25519', {
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    })
    const store = memoryStore()
    const reader = machine({ store, publicKey: pair.publicKey })
    await reader.build()
    expect(store.bodies.size).toBe(0)
    await machine({ store, privateKey: pair.privateKey }).build()
    expect((await machine({ store, publicKey: pair.publicKey }).build()).reason).toBe('hit: remote')
  })

  test('without put() is only read', async () => {
    const store = memoryStore()
    const { build, warnings } = machine({ store: { get: store.get }, secret })
    expect((await build()).reason).toBe('miss: new')
    expect(warnings).toEqual([])
  })

  const poisons: readonly (readonly [string, (body: Buffer) => Buffer, RegExp])[] = [
    ['a changed byte of the engine', change(-1), /another digest/],
    ['a changed byte of the head', change(30), /signature/],
    ['a byte less', (body) => body.subarray(0, -1), /21 bytes instead of 22/],
    ['a byte more', (body) => Buffer.concat([body, Buffer.from('!')]), /more than 22 bytes/],
    ['no bytes', () => Buffer.alloc(0), /ends before its signature/],
    ['an engine without a head', () => Buffer.alloc(5 << 20, 1), /no signature/],
    ['a page', () => Buffer.from('<!doctype html>\n'), /no signature/],
  ]
  test.each(poisons)('that gives %s is a miss with one warning', async (_, poison, why) => {
    const store = memoryStore()
    await machine({ store, secret }).build()
    const body = store.bodies.get(key.digest) ?? Buffer.alloc(0)
    store.bodies.set(key.digest, poison(body))
    const { build, builds, warnings } = machine({ store: { get: store.get }, secret })
    const { reason, bytes } = await build()
    expect({ reason, bytes, builds: builds() }).toEqual({ reason: 'miss: new', bytes: engine, builds: 1 })
    expect(warnings).toEqual([expect.stringMatching(why)])
  })

  test('that gives an entry of another secret is a miss', async () => {
    const store = memoryStore()
    await machine({ store, secret: 'another secret of 32 characters!!' }).build()
    const { build, warnings } = machine({ store: { get: store.get }, secret })
    expect((await build()).reason).toBe('miss: new')
    expect(warnings).toEqual([expect.stringMatching(/signature is wrong/)])
  })

  test('that gives the signed entry of another key is a miss', async () => {
    const store = memoryStore()
    await machine({ store, secret }).build()
    const body = store.bodies.get(key.digest) ?? Buffer.alloc(0)
    const swapped = { get: async () => oneByOne(body) }
    const { store: cache, warnings } = machine({ store: swapped, secret })
    const other = cacheKey({ model: 'def', backend: 'onnxruntime' })
    const { reason } = await cache.getOrBuild({ ...request, key: other }, (output) => writeFile(output, 'own'))
    expect(reason).toBe('miss: new')
    expect(warnings).toEqual([expect.stringMatching(/another key/)])
  })

  test('that fails costs one warning for all engines of a build', async () => {
    const store: RemoteStore = {
      get: () => Promise.reject(new Error('no route')),
      put: () => Promise.reject(new Error('no route')),
    }
    const { store: cache, warnings } = machine({ store, secret })
    for (const model of ['a', 'b', 'c'])
      await cache.getOrBuild({ ...request, key: cacheKey({ model }) }, (output) => writeFile(output, model))
    await cache.collect()
    expect(warnings).toEqual([expect.stringMatching(/no route/)])
  })

  test('gets each engine once, while the local lock is free', async () => {
    const store = memoryStore()
    const { build } = machine({ store, secret })
    await Promise.all([build(), build(), build()])
    expect(store.bodies.size).toBe(1)
  })
})

describe('frozen', () => {
  test('fails instead of building, and names the key', async () => {
    const { build, builds } = machine(undefined, true)
    await expect(build()).rejects.toMatchObject({
      code: 'NOT_CACHED',
      received: expect.stringContaining(key.digest.slice(0, 12)),
    })
    expect(builds()).toBe(0)
  })

  test('takes engines from the remote cache', async () => {
    const store = memoryStore()
    await machine({ store, secret }).build()
    expect((await machine({ store, secret }, true).build()).reason).toBe('hit: remote')
  })
})

describe('http()', () => {
  type Handler = (request: IncomingMessage, response: ServerResponse) => void
  async function serve(handler: Handler): Promise<string> {
    const server = createServer(handler).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v8/artifacts/{key}?slug=team`
  }

  test('reads with one token and writes with another, with the length of the file', async () => {
    const folder = tempFolder()
    const seen: string[] = []
    const url = await serve((request, response) => {
      seen.push(
        `${request.method} ${request.url} ${request.headers.authorization} ${request.headers['content-length']}`,
      )
      request.resume().on('end', () => response.writeHead(request.method === 'PUT' ? 202 : 404).end())
    })
    const store = http({ url, token: 'r', writeToken: 'w' })
    const file = join(folder, 'body')
    await writeFile(file, engine)
    const { signal } = new AbortController()
    await store.put?.('k', file, { signal })
    expect(await store.get('k', { signal })).toBeUndefined()
    expect(seen).toEqual([
      'PUT /v8/artifacts/k?slug=team Bearer w 22',
      'GET /v8/artifacts/k?slug=team Bearer r undefined',
    ])
    expect(http({ url, token: 'r' }).put).toBeUndefined()
  })

  test.each([401, 403, 412, 429, 500, 302])('that answers %i costs one warning and a build', async (status) => {
    const url = await serve((request, response) => request.resume().on('end', () => response.writeHead(status).end()))
    const { build, warnings } = machine({ store: http({ url, token: 'r' }), secret })
    expect((await build()).reason).toBe('miss: new')
    expect(warnings).toEqual([expect.stringContaining(`status ${status}`)])
  })

  test('whose connection is cut in the middle costs one warning and a build', async () => {
    const store = memoryStore()
    await machine({ store, secret }).build()
    const body = store.bodies.get(key.digest) ?? Buffer.alloc(0)
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-length': String(body.length) })
      response.write(body.subarray(0, -5), () => response.destroy())
    })
    const { build, warnings } = machine({ store: http({ url }), secret })
    expect((await build()).bytes).toEqual(engine)
    expect(warnings).toHaveLength(1)
  })

  test('that trickles costs one warning and a build once its time is over', async () => {
    const store = memoryStore()
    await machine({ store, secret }).build()
    const body = store.bodies.get(key.digest) ?? Buffer.alloc(0)
    const heads = body.indexOf(10) + 3
    const events = new EventEmitter()
    const trickling = once(events, 'trickling')
    const closed = once(events, 'closed')
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-length': String(body.length) })
      let sent = 0
      const trickle = () => {
        response.write(body.subarray(sent, ++sent))
        if (sent < heads) setImmediate(trickle)
        else events.emit('trickling')
      }
      trickle()
      response.on('close', () => events.emit('closed'))
    })
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const { build, warnings } = machine({ store: http({ url }), secret })
    const building = build()
    await trickling
    await vi.advanceTimersByTimeAsync(60_000)
    // The connection is given up as well, not only the wait for it.
    await closed
    expect((await building).bytes).toEqual(engine)
    expect(warnings).toEqual([expect.stringContaining('it takes too long')])
  })

  test.each([301, 302, 307, 308])('that answers %i to another host does not take the token there', async (status) => {
    const elsewhere: string[] = []
    const other = await serve((request, response) => {
      elsewhere.push(`${request.method} ${request.headers.authorization}`)
      request.resume().on('end', () => response.writeHead(404).end())
    })
    const location = other.replace('{key}', 'stolen')
    const url = await serve((request, response) =>
      request.resume().on('end', () => response.writeHead(status, { location }).end()),
    )
    const store = http({ url, token: 'r', writeToken: 'w' })
    const reading = machine({ store: { get: store.get }, secret })
    await reading.build()
    const writing = machine({ store: { get: async () => undefined, put: store.put! }, secret })
    await writing.build()
    expect(elsewhere).toEqual([])
    expect([...reading.warnings, ...writing.warnings]).toEqual(
      [status, status].map((code) => expect.stringContaining(`status ${code}`)),
    )
  })

  test('that has nothing under a key costs no warning', async () => {
    const url = await serve((_, response) => response.writeHead(404).end())
    const { build, warnings } = machine({ store: http({ url }), secret })
    expect((await build()).reason).toBe('miss: new')
    expect(warnings).toEqual([])
  })

  test.each([
    [200, []],
    [412, []],
    [401, [/status 401/]],
    [403, [/status 403/]],
    [500, [/status 500/]],
  ] as const)('that answers %i to an upload costs %j', async (status, wanted) => {
    const url = await serve((request, response) =>
      request.resume().on('end', () => response.writeHead(request.method === 'PUT' ? status : 404).end()),
    )
    const { build, warnings } = machine({ store: http({ url, writeToken: 'w' }), secret })
    expect((await build()).bytes).toEqual(engine)
    expect(warnings).toEqual(wanted.map((text) => expect.stringMatching(text)))
  })

  test('whose connection is cut during an upload costs one warning', async () => {
    const url = await serve((request, response) => {
      if (request.method === 'PUT') request.once('data', () => request.socket.destroy())
      else response.writeHead(404).end()
    })
    const { build, warnings } = machine({ store: http({ url, writeToken: 'w' }), secret })
    expect((await build()).bytes).toEqual(engine)
    expect(warnings).toEqual([expect.stringContaining('could not be stored')])
  })

  test.each(['https://host/without-a-key', 'ftp://host/{key}'])('with the URL %s is refused', (url) => {
    expect(() => http({ url })).toThrow(/with \{key\}/)
  })
})

test('a body of 64 MB is read and written a piece at a time', async () => {
  const large = Buffer.alloc(64 << 20, 7)
  const kept = join(tempFolder(), 'body')
  let longest = 0
  const files: RemoteStore = {
    get: async () => (existsSync(kept) ? createReadStream(kept) : undefined),
    async put(_, file) {
      for await (const chunk of createReadStream(file)) {
        longest = Math.max(longest, (chunk as Buffer).length)
        await appendFile(kept, chunk as Buffer)
      }
    },
  }
  await machine({ store: files, secret }).build(large)
  const read = await machine({ store: { get: files.get }, secret }).build()
  expect(read.reason).toBe('hit: remote')
  expect(Buffer.compare(read.bytes, large)).toBe(0)
  expect(longest).toBeLessThan(1 << 20)
})

import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { cacheKey, graphFacts, sourceFacts, type Facts, type Json } from '../../plugin/cache/key.ts'
import { openStore, type Build, type Store, type Stored, type StoreRequest } from '../../plugin/cache/store.ts'
import { acquireLock, lockHolder, tryLock } from '../../plugin/files/lock.ts'
import { hostTag, thisProcess } from '../../plugin/files/owner.ts'
import { makeFolder } from '../../runtime/make-folder.ts'
import { builder, startBuilder } from '../support/builder.ts'
import { tempFolder } from '../support/helpers.ts'

const day = 86_400_000
const facts: Facts = { model: 'a'.repeat(64), graph: 'b'.repeat(64), onnxruntime: '1.30.0' }

describe('cache', () => {
  test('a hit gives the same bytes and metadata as the miss', async () => {
    const { open } = setUp()
    const metadata = { requires: { version: '1.30.0' }, list: [1, null, 'x'] }
    const miss = await open().getOrBuild(request(), counted('engine', metadata).build)
    const hit = await open().getOrBuild(request(), refuse)
    expect(miss).toMatchObject({ hit: false, reason: 'miss: new', metadata })
    expect(hit).toMatchObject({ hit: true, reason: 'hit', metadata })
    expect(hit.artifact).toEqual(miss.artifact)
    const bytes = readFileSync(hit.artifact.file)
    expect(bytes.toString()).toBe('engine')
    expect(hit.artifact).toMatchObject({
      size: 6,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      key: request().key,
    })
  })

  test('a changed option is a miss with its reason, and going back is a hit', async () => {
    const { open } = setUp()
    const changed = request({ model: 'c'.repeat(64) })
    await open().getOrBuild(request(), counted('one').build)
    expect((await open().getOrBuild(changed, counted('two').build)).reason).toBe('miss: weights changed')
    expect((await open().why('pose'))?.reason).toBe('miss: weights changed')
    expect((await open().getOrBuild(request(), refuse)).reason).toBe('hit')
    expect((await open().why('pose'))?.reason).toBe('hit: weights changed')
    expect((await open().getOrBuild(request({ onnxruntime: '1.31.0' }), counted('three').build)).reason).toBe(
      'miss: ONNX Runtime 1.30.0 -> 1.31.0',
    )
  })

  test('the same weights with another static shape are another engine', async () => {
    const { open } = setUp()
    const source = sourceFacts({ model: 'a', graph: 'b', external: [] })
    const fixed = (dims: number[]) => ({
      ...request(),
      key: cacheKey(graphFacts(source, { passes: [], shapes: { x: dims } })),
    })
    await open().getOrBuild(fixed([1, 3, 48, 320]), counted('narrow').build)
    const wide = await open().getOrBuild(fixed([1, 3, 48, 640]), counted('wide').build)
    expect(wide.reason).toBe('miss: shapes changed: x 1x3x48x320 -> 1x3x48x640')
    expect(readFileSync(wide.artifact.file, 'utf8')).toBe('wide')
  })

  test('a renamed model, which is another import with the same key, is a hit', async () => {
    const { open } = setUp()
    await open().getOrBuild(request(), counted('engine').build)
    expect((await open().getOrBuild(request({}, 'renamed'), refuse)).reason).toBe('hit')
    expect((await open().list()).map(({ imports }) => imports)).toEqual([['pose', 'renamed']])
  })

  test('two keys whose engines have equal bytes share them, and losing one entry does not lose the other', async () => {
    const { open } = setUp()
    const one = await aged(40, () => open().getOrBuild(request(), counted('same').build))
    const two = await open().getOrBuild(request({ level: 'basic' }, 'other'), counted('same').build)
    expect(two.artifact.file).toBe(one.artifact.file)
    expect((await open().collect()).removed.map(({ imports }) => imports)).toEqual([['pose']])
    expect((await open().getOrBuild(request({ level: 'basic' }, 'other'), refuse)).hit).toBe(true)
  })

  test('a hundred callers in one process build once', async () => {
    const store = setUp().open()
    const { build, count } = counted('engine')
    const all = await Promise.all(Array.from({ length: 100 }, () => store.getOrBuild(request(), build)))
    expect(count()).toBe(1)
    expect(all.filter(({ hit }) => !hit)).toHaveLength(1)
    expect(new Set(all.map(({ artifact }) => artifact.file)).size).toBe(1)
  })

  test('the last duration of an import is known before it is built again', async () => {
    const { open } = setUp()
    expect(await open().lastSeconds('pose')).toBeUndefined()
    await open().getOrBuild(request(), counted('engine').build)
    expect(await open().lastSeconds('pose')).toBeGreaterThanOrEqual(0)
    expect(await open().why('another')).toBeUndefined()
  })
})

describe('damaged cache', () => {
  const damages: readonly (readonly [string, string, (at: { root: string; file: string }) => void])[] = [
    ['a truncated engine', 'miss: the cached engine was corrupted', ({ file }) => truncateSync(file, 3)],
    ['an empty engine', 'miss: the cached engine was corrupted', ({ file }) => truncateSync(file, 0)],
    [
      'other bytes of the same size',
      'miss: the cached engine was corrupted',
      ({ file }) => writeFileSync(file, 'Engine'),
    ],
    [
      'a folder where the engine was',
      'miss: the cached engine was corrupted',
      ({ file }) => {
        rmSync(file)
        mkdirSync(file)
      },
    ],
    ['a removed engine', 'miss: the cached engine was removed', ({ file }) => rmSync(file)],
    [
      'removed content',
      'miss: the cached engine was removed',
      ({ root }) => rmSync(join(root, 'content-v2'), { recursive: true }),
    ],
    [
      'a damaged index and note',
      'miss: new',
      ({ root }) => {
        for (const file of [...filesIn(join(root, 'index-v5')), ...filesIn(join(root, 'imports'))])
          writeFileSync(file, 'garbage\n{"')
      },
    ],
    [
      'a damaged note',
      'hit',
      ({ root }) =>
        filesIn(join(root, 'imports')).forEach((file) => writeFileSync(file, '{"family":"pose","entry":{}}')),
    ],
    [
      'a damaged index',
      'hit',
      ({ root }) => filesIn(join(root, 'index-v5')).forEach((file) => writeFileSync(file, '\0'.repeat(99))),
    ],
    [
      'a damaged stat index',
      'hit',
      ({ root }) => writeFileSync(join(root, 'stat-index.json'), '{"version":1,"entries":[{}]}'),
    ],
  ]
  test.each(damages)('%s: %s', async (_, reason, damage) => {
    const { open, root } = setUp()
    const { artifact } = await open().getOrBuild(request(), counted('engine').build)
    await open().getOrBuild(request(), refuse)
    damage({ root, file: artifact.file })
    const again = await open().getOrBuild(request(), counted('engine').build)
    expect(again.reason).toBe(reason)
    expect(readFileSync(again.artifact.file, 'utf8')).toBe('engine')
    expect((await open().getOrBuild(request(), refuse)).artifact).toEqual(artifact)
  })

  test('verify hashes every entry, and removes damaged ones', async () => {
    const { open } = setUp()
    const good = await open().getOrBuild(request(), counted('good').build)
    const bad = await open().getOrBuild(request({}, 'other', { level: 'x' }), counted('bad').build)
    writeFileSync(bad.artifact.file, 'dab')
    const { checked, damaged } = await open().verify()
    expect([checked, damaged.map(({ imports }) => imports)]).toEqual([2, [['other']]])
    expect((await open().list()).map(({ file }) => file)).toEqual([good.artifact.file])
    expect(await open().verify()).toEqual({ checked: 1, damaged: [], damagedRecords: 0 })
  })
})

describe('failed build', () => {
  test('a failed build leaves nothing behind and no engine is lost; the next build works', async () => {
    const { open, root } = setUp()
    await open().getOrBuild(request(), counted('good').build)
    const before = tree(root)
    const broken = request({ model: 'c'.repeat(64) })
    const error = new Error('no kernel for Foo')
    const failing: Build = async (output) => {
      await writeFile(output, 'half an eng')
      throw error
    }
    await expect(open().getOrBuild(broken, failing)).rejects.toBe(error)
    expect(tree(root)).toEqual(before)
    expect((await open().getOrBuild(request(), refuse)).hit).toBe(true)
    expect((await open().getOrBuild(broken, counted('fixed').build)).reason).toBe('miss: weights changed')
  })

  test.each([
    ['writes nothing', async () => {}],
    ['writes an empty file', (output: string) => writeFile(output, '')],
  ])('a build that %s is an error with a code', async (_, build) => {
    const { open, root } = setUp()
    await expect(open().getOrBuild(request(), build)).rejects.toMatchObject({
      code: 'COMPILE_FAILED',
      message: expect.stringContaining('pose.onnx'),
    })
    expect(readdirSync(join(root, 'tmp'))).toEqual([])
  })

  test('a failed build fails every caller that waits for it, once', async () => {
    const store = setUp().open()
    let count = 0
    const build = async () => {
      count++
      throw new Error('bad model')
    }
    const all = await Promise.allSettled([1, 2, 3].map(() => store.getOrBuild(request(), build)))
    expect(all.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect(count).toBe(1)
  })
})

describe('abort', () => {
  test('an abort before anything starts rejects without a build', async () => {
    const { open } = setUp()
    await expect(open().getOrBuild({ ...request(), signal: AbortSignal.abort() }, refuse)).rejects.toMatchObject({
      code: 'COMPILE_ABORTED',
    })
  })

  test('one abort ends a hundred builds without a warning of Node.js', async () => {
    const store = setUp().open()
    const warned = vi.fn<(warning: Error) => void>()
    process.on('warning', warned)
    const stop = new AbortController()
    const all = Array.from({ length: 100 }, (_, i) =>
      store.getOrBuild({ ...request({ i }), signal: stop.signal }, (output) => writeFile(output, String(i))),
    )
    stop.abort()
    const results = await Promise.allSettled(all)
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(100)
    process.off('warning', warned)
    expect(warned).not.toHaveBeenCalled()
  })

  test('an abort of a waiting caller rejects at once; the others get the engine', async () => {
    const store = setUp().open()
    const { build, started, finish } = held('engine')
    const patient = store.getOrBuild(request(), build)
    await started
    const stop = new AbortController()
    const impatient = store.getOrBuild({ ...request(), signal: stop.signal }, refuse)
    stop.abort('enough')
    await expect(impatient).rejects.toMatchObject({ code: 'COMPILE_ABORTED', cause: 'enough' })
    finish()
    expect((await patient).reason).toBe('miss: new')
  })

  test('an abort of the building caller lets another caller build', async () => {
    const { open, root } = setUp()
    const store = open()
    const stop = new AbortController()
    const builds = new Promise<void>((resolve) => stop.signal.addEventListener('abort', () => resolve()))
    const first = store.getOrBuild({ ...request(), signal: stop.signal }, async (output) => {
      await writeFile(output, 'half')
      await builds
      throw new Error('killed')
    })
    const second = store.getOrBuild(request(), counted('engine').build)
    stop.abort()
    await expect(first).rejects.toMatchObject({ code: 'COMPILE_ABORTED' })
    expect(readFileSync((await second).artifact.file, 'utf8')).toBe('engine')
    expect([...readdirSync(join(root, 'tmp')), ...readdirSync(join(root, 'locks'))]).toEqual([])
  })

  test('an abort ends the wait for another process', async () => {
    const { open, root } = setUp()
    const file = join(root, 'locks', `${request().key.digest}.lock`)
    mkdirSync(dirname(file), { recursive: true })
    const lock = await acquireLock(file)
    const stop = new AbortController()
    const waiting = open().getOrBuild({ ...request(), signal: stop.signal }, refuse)
    stop.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'COMPILE_ABORTED' })
    await lock.release()
  })
})

describe('collection', () => {
  test('engines are removed by age since their last use', async () => {
    const { open, root } = setUp()
    await aged(40, () => open().getOrBuild(request(), counted('old').build))
    await aged(40, () => open().getOrBuild(request({ level: 'x' }, 'used'), counted('used').build))
    await aged(20, () => open().getOrBuild(request({ level: 'x' }, 'used'), refuse))
    const { removed, bytes } = await open().collect()
    expect([removed.map(({ imports }) => imports), bytes]).toEqual([[['pose']], 3])
    expect(filesIn(join(root, 'content-v2'))).toHaveLength(1)
    expect((await open().getOrBuild(request(), counted('old').build)).reason).toBe(
      'miss: the cached engine was removed',
    )
    expect((await open().getOrBuild(request({ level: 'x' }, 'used'), refuse)).hit).toBe(true)
  })

  test('over the size limit superseded engines go first, then the least recently used', async () => {
    const { open } = setUp({ maxSize: 2000 })
    const store = async (name: string, days: number, importKey = name) =>
      aged(days, () => open().getOrBuild(request({ name }, importKey), counted(name.repeat(1000)).build))
    await store('a', 9)
    await store('b', 8)
    await store('c', 2, 'pose')
    await store('d', 1, 'pose')
    const { removed } = await open().collect()
    expect(removed.map(({ facts }) => facts['name'])).toEqual(['c', 'a'])
    expect((await open().list()).map(({ facts }) => facts['name'])).toEqual(['d', 'b'])
  })

  test('engines that this process got, that were used just now or are locked are kept', async () => {
    const { open, root } = setUp({ maxSize: 0 })
    const store = open()
    await open().getOrBuild(request({ level: 'x' }, 'young'), counted('young').build)
    endLeases(root)
    await aged(1, () => open().getOrBuild(request({ level: 'y' }, 'locked'), counted('locked').build))
    const mine = await store.getOrBuild(request({}, 'mine'), counted('mine').build)
    utimesSync(join(root, 'used', mine.artifact.key.digest), 1, 1)
    const lock = await tryLock(join(root, 'locks', `${request({ level: 'y' }).key.digest}.lock`))
    expect((await store.collect()).removed).toEqual([])
    await lock?.release()
    expect((await store.collect()).removed.map(({ imports }) => imports)).toEqual([['locked']])
  })

  test('files of killed builds are removed, those of running builds are kept', async () => {
    const { open, root } = setUp()
    const store = open()
    const { build, started, finish } = held('engine')
    const running = store.getOrBuild(request(), build)
    await started
    const [mine] = readdirSync(join(root, 'tmp'))
    mkdirSync(join(root, 'tmp', dead))
    writeFileSync(join(root, 'tmp', dead, 'engine'), 'half')
    writeFileSync(join(root, 'locks', `${'d'.repeat(64)}.lock`), JSON.stringify({ ...lockRecord, pid: deadProcess() }))
    expect((await open().collect()).bytes).toBe(4)
    expect(readdirSync(join(root, 'tmp'))).toEqual([mine])
    expect(readdirSync(join(root, 'locks'))).toHaveLength(1)
    expect(await open().clear()).toEqual({ removed: [], bytes: 0 })
    finish()
    expect(existsSync((await running).artifact.file)).toBe(true)
  })

  test('a build that compiled nothing collects once a day, others always', async () => {
    const { open, root } = setUp()
    await open().getOrBuild(request(), counted('engine').build)
    await open().collect()
    const recently = new Date(Date.now() - 0.9 * day)
    utimesSync(join(root, 'collected'), recently, recently)
    mkdirSync(join(root, 'tmp', dead))
    await open().collect()
    expect(readdirSync(join(root, 'tmp'))).toEqual([dead])
    utimesSync(join(root, 'collected'), 1, 1)
    await open().collect()
    expect(readdirSync(join(root, 'tmp'))).toEqual([])
    mkdirSync(join(root, 'tmp', dead))
    const builder = open()
    await builder.getOrBuild(request({ level: 'x' }), counted('more').build)
    await builder.collect()
    expect(readdirSync(join(root, 'tmp'))).toEqual([])
  })

  test('modules for Jest go when no test used them for long, and clear leaves those of a running one', async () => {
    const { open, root } = setUp()
    const [old = '', young = ''] = ['a', 'b'].map((name) => `${name.repeat(32)}.cjs`)
    mkdirSync(join(root, 'jest'), { recursive: true })
    for (const name of [old, young, 'notes.txt']) writeFileSync(join(root, 'jest', name), '')
    await open().clear()
    expect(readdirSync(join(root, 'jest'))).toEqual([old, young, 'notes.txt'])
    utimesSync(join(root, 'jest', old), 1, 1)
    await open().collect()
    expect(readdirSync(join(root, 'jest'))).toEqual([young, 'notes.txt'])
  })

  test('a measurement of an engine replaces the last one, and goes with the engine', async () => {
    const { root, open } = setUp()
    const { artifact } = await aged(40, () => open().getOrBuild(request(), counted('engine').build))
    const { digest } = artifact.key
    const store = open()
    expect(await store.measurement(digest)).toBeUndefined()
    for (const median of [1, 2]) await store.keepMeasurement(digest, { median })
    expect(await open().measurement(digest)).toEqual({ median: 2 })
    await expect(store.keepMeasurement(digest, 'x'.repeat(70_000))).rejects.toThrow(RangeError)
    await store.collect()
    expect(await store.measurement(digest)).toBeUndefined()
    expect(readdirSync(join(root, 'measurements'))).toEqual([])
  })

  test.each<[string, (text: string) => string]>([
    ['that was changed', (text) => text.replace('"median":1', '"median":2')],
    ['that was cut', (text) => text.slice(0, 20)],
    ['that is empty', () => ''],
  ])('a measurement %s counts as none', async (_, damage) => {
    const { root, open } = setUp()
    await open().keepMeasurement('a'.repeat(64), { median: 1 })
    const file = join(root, 'measurements', `${'a'.repeat(64)}.json`)
    writeFileSync(file, damage(readFileSync(file, 'utf8')))
    expect(await open().measurement('a'.repeat(64))).toBeUndefined()
  })

  test('clear leaves what running processes were given, and after it the cache works', async () => {
    const { open, root } = setUp()
    await open().getOrBuild(request(), counted('engine').build)
    expect(await open().clear()).toEqual({ removed: [], bytes: 0 })
    endLeases(root)
    expect(await open().clear()).toMatchObject({ removed: [{ imports: ['pose'] }], bytes: 6 })
    expect([await open().list(), await open().imports(), filesIn(join(root, 'content-v2'))]).toEqual([[], [], []])
    expect((await open().getOrBuild(request(), counted('engine').build)).reason).toBe('miss: new')
  })

  test('a cache folder that does not exist has no entries', async () => {
    const store = setUp().open()
    expect([await store.list(), await store.collect(), await store.verify()]).toEqual([
      [],
      { removed: [], bytes: 0 },
      { checked: 0, damaged: [], damagedRecords: 0 },
    ])
  })
})

describe('lock', () => {
  test.each([
    ['ran here and is dead', { pid: deadProcess() }, 0, true],
    ['runs here', {}, 0, false],
    ['runs here and went silent, as a suspended one does', {}, 31_000, false],
    ['is dead, and another process has its id', { started: '1' }, 0, process.platform === 'linux'],
    ['runs elsewhere', { host: 'elsewhere', pid: deadProcess() }, 20_000, false],
    ['went silent elsewhere', { host: 'elsewhere' }, 31_000, true],
  ])('a lock whose holder %s', async (_, holder, silence, free) => {
    const file = lockFile()
    writeFileSync(file, JSON.stringify({ ...lockRecord, ...holder }))
    const time = new Date(Date.now() - silence)
    utimesSync(file, time, time)
    expect(await lockHolder(file)).toBe(free ? undefined : lockRecord.token)
    const lock = await tryLock(file)
    expect(lock !== undefined).toBe(free)
    await lock?.release()
    expect(existsSync(file)).toBe(!free)
  })

  test.each([
    ['empty', ''],
    ['of another program', 'pid 12'],
    ['with a path for a token', JSON.stringify({ ...lockRecord, token: '../../x' })],
  ])('a lock file %s is respected while it may be half written, then broken', async (_, text) => {
    const file = lockFile()
    writeFileSync(file, text)
    expect(await tryLock(file)).toBeUndefined()
    utimesSync(file, 1, 1)
    expect(await tryLock(file)).toBeDefined()
  })

  test('a lock with a dead holder that many find at once is never held twice', async () => {
    for (let round = 0; round < 20; round++) {
      const file = lockFile()
      writeFileSync(file, JSON.stringify({ ...lockRecord, pid: deadProcess() }))
      const taken = await Promise.all(Array.from({ length: 16 }, () => tryLock(file)))
      expect(taken.filter(Boolean).length).toBeLessThanOrEqual(1)
      const lock = taken.find(Boolean) ?? (await acquireLock(file))
      await lock.release()
      expect(readdirSync(dirname(file))).toEqual([])
    }
  })

  test('a lock is taken although the process that was breaking it was killed', async () => {
    const file = lockFile()
    const dead = JSON.stringify({ ...lockRecord, pid: deadProcess() })
    writeFileSync(file, dead)
    writeFileSync(`${file}.${lockRecord.token}.broken`, dead)
    const lock = await acquireLock(file)
    await lock.release()
    expect(readdirSync(dirname(file))).toEqual([])
  })

  test('a lock that others broke is not taken from them at release', async () => {
    const file = lockFile()
    const lock = await acquireLock(file)
    writeFileSync(file, JSON.stringify(lockRecord))
    await lock.release()
    expect(existsSync(file)).toBe(true)
  })
})

describe('cache folder that cannot be used', () => {
  beforeEach(() => {
    const folder = tempFolder()
    for (const name of ['TMPDIR', 'TEMP', 'TMP']) vi.stubEnv(name, folder)
  })
  afterEach(() => void vi.unstubAllEnvs())

  test('what a killed process left in the temporary folder is removed', async () => {
    const { open, dir } = setUp()
    const [left, living] = [deadProcess(), process.pid].map((pid) =>
      join(tmpdir(), `unplugin-onnx-${pid}-${hostTag}-abcDEF`),
    )
    for (const folder of [left!, living!]) mkdirSync(folder)
    writeFileSync(dir, '')
    await open().getOrBuild(request(), counted('engine').build)
    expect([existsSync(left!), existsSync(living!)]).toEqual([false, true])
  })

  test('a folder below a file costs a warning, not the build', async () => {
    const parent = join(tempFolder(), 'file')
    writeFileSync(parent, '')
    const { open, warnings } = setUp({ dir: join(parent, 'cache') })
    const store = open()
    const { build, count } = counted('engine')
    const stored = [await store.getOrBuild(request(), build), await store.getOrBuild(request(), build)]
    expect(stored.map(({ reason }) => reason)).toEqual(['miss: the cache folder cannot be used', 'hit'])
    expect(readFileSync(stored[1]!.artifact.file, 'utf8')).toBe('engine')
    expect(count()).toBe(1)
    expect(await store.collect()).toEqual({ removed: [], bytes: 0 })
    expect(warnings).toEqual([expect.stringMatching(/cannot be used .*ENOTDIR.*built again next time/)])
    for (const use of [store.list, store.imports, store.verify, store.clear])
      await expect(use()).rejects.toMatchObject({ code: 'CACHE_FAILED' })
  })

  test('a disk that fills up while the compiler writes costs a warning, not the build', async () => {
    const { open, warnings, dir } = setUp()
    const full = Object.assign(new Error('write failed'), { code: 'ENOSPC' })
    const { artifact } = await open().getOrBuild(request(), async (output) => {
      if (output.startsWith(dir)) throw new Error('compiler died', { cause: full })
      await writeFile(output, 'engine')
    })
    expect(artifact.file.startsWith(dir)).toBe(false)
    expect(warnings).toHaveLength(1)
  })

  const small = mountable('size=1m')
  test.skipIf(!small)('a real disk of 1 MB that is full costs a warning, not the build', () => {
    const result = inMount('size=1m', ['trouble'])
    expect(result).toMatchObject({
      stored: [
        { inside: false, right: true },
        { reason: 'hit', inside: false, right: true },
      ],
      builds: 2,
      warnings: [expect.stringContaining('ENOSPC')],
      known: 'miss: new',
    })
  })

  test.skipIf(!small)('a real read-only disk costs a warning, and its engines are still hits', () => {
    const result = inMount('size=1m', ['known', 'ro', 'trouble'])
    expect(result).toMatchObject({
      stored: [
        { inside: false, right: true },
        { reason: 'hit', inside: false, right: true },
      ],
      builds: 1,
      warnings: [expect.stringContaining('EROFS')],
      known: 'hit',
    })
  })
})

describe('cache between processes', () => {
  test('many processes that make one folder at once all get it', async () => {
    const deep = join(tempFolder(), 'a', 'b', 'c', 'd')
    await expect(
      Promise.all(Array.from({ length: 30 }, (_, index) => makeFolder(join(deep, `${index % 3}`)))),
    ).resolves.toHaveLength(30)
    expect(readdirSync(deep)).toEqual(['0', '1', '2'])
  })

  test('sixteen processes that want one engine at once build it once', { timeout: 120_000 }, async () => {
    const dir = tempFolder()
    const children = await Promise.all(Array.from({ length: 16 }, () => startBuilder('once', dir)))
    const results = await Promise.all(children.map((child) => child.ask<Stored>('go')))
    expect(readFileSync(join(dir, 'builds'), 'utf8').trim().split('\n')).toHaveLength(1)
    expect(new Set(results.map(({ artifact }) => artifact.sha256)).size).toBe(1)
    expect(results.map(({ reason }) => reason).sort()).toEqual([
      ...Array.from({ length: 15 }, () => 'hit'),
      'miss: new',
    ])
  })

  test('a killed process does not hold up the next', async () => {
    const { open, dir } = setUp()
    const child = await startBuilder('once', dir)
    child.tell('go')
    await vi.waitUntil(() => existsSync(join(dir, 'builds')), { interval: 5, timeout: 10_000 })
    await child.kill()
    const started = performance.now()
    const next = { ...request(), key: cacheKey({ name: 'once' }) }
    expect((await open().getOrBuild(next, counted('engine').build)).reason).toBe('miss: new')
    expect(performance.now() - started).toBeLessThan(10_000)
  })

  test('fifty processes killed at random moments leave a cache that works', { timeout: 120_000 }, async () => {
    const { open, dir, root } = setUp()
    const store = open()
    const rounds = async () => {
      for (let round = 0; round < 10; round++) {
        const child = await startBuilder('forever', dir)
        child.tell('go')
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 60))
        await child.kill()
        const name = `engine ${round * 17}`
        const { artifact } = await store.getOrBuild(
          { key: cacheKey({ name }), importKey: `importKey of ${name}`, label: name },
          counted(name).build,
        )
        expect(createHash('sha256').update(readFileSync(artifact.file)).digest('hex')).toBe(artifact.sha256)
      }
    }
    await Promise.all(Array.from({ length: 5 }, rounds))
    expect((await open().verify()).damaged).toEqual([])
    await store.collect()
    await store.collect()
    expect([
      ...readdirSync(join(root, 'tmp')),
      ...readdirSync(join(root, 'locks')).filter((name) => name.endsWith('.lock')),
    ]).toEqual([])
    const hits = (await open().list()).map(({ digest }) =>
      open().getOrBuild({ key: { digest, facts: {} }, importKey: 'check', label: 'check' }, refuse),
    )
    expect((await Promise.all(hits)).length).toBeGreaterThanOrEqual(10)
  })
})

/** The folder of a build whose process is dead. */
const dead = 'dddddddd-dddd-4ddd-8ddd-dddddddddddd'

const lockFile = () => join(tempFolder(), 'lock')
const lockRecord = { token: '00000000-0000-4000-8000-000000000000', ...thisProcess() }

function setUp(options: { readonly dir?: string; readonly maxSize?: number } = {}) {
  const dir = options.dir ?? join(tempFolder(), 'cache')
  const warnings: string[] = []
  const open = (): Store =>
    openStore({ dir, maxSize: options.maxSize ?? 1e9, maxAge: 30 * day, warn: (message) => warnings.push(message) })
  return { dir, root: join(dir, 'v1'), warnings, open }
}

function request(change: Facts = {}, importKey = 'pose', more: Facts = {}): StoreRequest {
  return { key: cacheKey({ ...facts, ...change, ...more }), importKey, label: `${importKey}.onnx` }
}

function counted(bytes: string, metadata?: Json): { build: Build; count: () => number } {
  let count = 0
  const build: Build = async (output) => {
    count++
    await writeFile(output, bytes)
    return metadata
  }
  return { build, count: () => count }
}

/** A build that starts, and ends when it is told to. */
function held(bytes: string): { build: Build; started: Promise<void>; finish: () => void } {
  let [start, finish] = [() => {}, () => {}]
  const started = new Promise<void>((resolve) => (start = resolve))
  const finished = new Promise<void>((resolve) => (finish = resolve))
  const build: Build = async (output) => {
    await writeFile(output, bytes)
    start()
    await finished
  }
  return { build, started, finish: () => finish() }
}

const refuse: Build = () => Promise.reject(new Error('this build must not happen'))

/** Stores an engine as if it had been used last some days ago, by a process that has ended since. */
async function aged(days: number, use: () => Promise<Stored>): Promise<Stored> {
  const stored = await use()
  const root = dirname(dirname(dirname(dirname(dirname(stored.artifact.file)))))
  const time = new Date(Date.now() - days * day)
  utimesSync(join(root, 'used', stored.artifact.key.digest), time, time)
  endLeases(root)
  return stored
}

/** As if the processes that were given engines had ended. */
function endLeases(root: string): void {
  rmSync(join(root, 'leases'), { recursive: true, force: true })
}

function filesIn(dir: string): string[] {
  const found = readdirSync(dir, { recursive: true, encoding: 'utf8' }).map((name) => join(dir, name))
  return found.filter((file) => statSync(file).isFile())
}

function tree(root: string): Record<string, number> {
  return Object.fromEntries(filesIn(root).map((file) => [file, statSync(file).size]))
}

/** The id of a process that is no more. */
function deadProcess(): number {
  return spawnSync(process.execPath, ['--version']).pid
}

/** Whether a file system of our own can be mounted here, in a namespace that ends with its process. */
function mountable(options: string): boolean {
  const { status } = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', '-o', options, 'none', tempFolder()])
  if (status !== 0)
    console.warn('skipped: a really full and a really read-only disk, because this system lets no user mount a tmpfs')
  return status === 0
}

/**
 * Runs the modes of the builder one after the other in a fresh file system; 'ro' makes it read-only. Gives what the
 * last one said.
 */
function inMount(options: string, modes: readonly string[]): unknown {
  const dir = tempFolder()
  const steps = modes.map((mode) => (mode === 'ro' ? 'mount -o remount,ro "$0"' : `"$1" "$2" ${mode} "$0"`))
  const script = [`mount -t tmpfs -o ${options} none "$0"`, ...steps].join(' && ')
  const out = execFileSync('unshare', ['-rm', 'sh', '-c', script, dir, process.execPath, builder], { encoding: 'utf8' })
  return JSON.parse(out.trim().split('\n').at(-1)!)
}

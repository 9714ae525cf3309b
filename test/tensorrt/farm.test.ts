import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Gpu } from '../../native/load-addon.ts'
import { tensorrt } from '../../plugin/backend/tensorrt/backend.ts'
import { openStore } from '../../plugin/cache/store.ts'
import { watchSources } from '../../plugin/cache/watched-sources.ts'
import { buildEngine } from '../../plugin/compile/engine.ts'
import { compileModel, prepareModel } from '../../plugin/compile/model.ts'
import type { RemoteStore } from '../../plugin/options/remote-types.ts'
import { compileOptions, resolveOptions } from '../../plugin/options/resolve.ts'
import type { Options } from '../../plugin/options/types.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel } from '../support/models.ts'

// Machines with GPUs build plans, and one without bundles them all. What their drivers would say is data, and so is
// what they would build: see farm-worker.mjs.
const root = tempFolder()
const file = join(root, 'm.onnx')
const secret = 'a secret of at least 32 characters'

const gpu = (name: string, computeCapability: string, multiprocessors: number): Gpu => ({
  name,
  computeCapability,
  multiprocessors,
  l2Bytes: 50 * 2 ** 20,
  memoryBusBits: 5120,
  memoryBytes: 80 * 2 ** 30,
})
const machines = {
  'h100.json': gpu('NVIDIA H100', 'sm90', 132),
  'l4.json': gpu('NVIDIA L4', 'sm89', 58),
}

/** What `unplugin-onnx doctor --json` prints on a machine with this GPU. */
function diagnosis(of: Gpu): object {
  const driver = { reason: '', driver: '580.95.05', cuda: '13.0', gpus: [of] }
  const detail = { file: '/sdk/libnvinfer.so', parser: '', plugins: '', parserVersion: 1, bytes: 5, driver }
  const here = { available: true, version: '10.15.1.29', detail: { ...detail, platform: 'linux', arch: 'x64' } }
  const backend = { name: 'tensorrt', available: true, version: here.version, detail: { here, elsewhere: [] } }
  return { platform: 'linux', arch: 'x64', backends: [{ name: 'openvino', available: false }, backend] }
}

beforeAll(() => {
  writeFileSync(file, affineModel())
  for (const [name, of] of Object.entries(machines)) writeFileSync(join(root, name), JSON.stringify(diagnosis(of)))
})

/** A store that machines share. */
function sharedStore(): RemoteStore {
  const bodies = new Map<string, Buffer>()
  return {
    async get(name) {
      const body = bodies.get(name)
      return body && Readable.from([body])
    },
    async put(name, source) {
      bodies.set(name, readFileSync(source))
    },
  }
}

function requestFor(user: Options) {
  const resolved = resolveOptions({ backends: ['tensorrt'], cache: { dir: tempFolder() }, ...user }, root)
  const request = { file, query: '', options: compileOptions(resolved, { file, query: {} }), convert: {}, root }
  const context = { log: () => {}, warn: () => {} }
  return { request, store: openStore({ ...resolved.cache, frozen: resolved.frozen, warn: context.warn }), context }
}

/** What the job on a machine with this GPU does: builds its own plan, and writes it into the shared store. */
async function buildOn(name: keyof typeof machines, store: RemoteStore): Promise<void> {
  const own = requestFor({ cache: { dir: tempFolder(), remote: { store, secret } }, tensorrt: { machines: [name] } })
  const context = { ...own.context, store: watchSources(own.store) }
  const { job, engines } = await prepareModel(own.request, context)
  for (const { plan, ...engine } of engines) {
    const { elsewhere: _, ...here } = plan
    const worker = new URL('./farm-worker.mjs', import.meta.url)
    await buildEngine({ ...engine, plan: { ...here, label: '', worker } }, job)
  }
  await own.store.collect()
}

async function bundle(store: RemoteStore | undefined, names: readonly string[], user: Options = {}) {
  const remote = store && { store: { get: store.get }, secret }
  const {
    request,
    store: cache,
    context,
  } = requestFor({
    cache: { dir: tempFolder(), ...(remote && { remote }) },
    tensorrt: { machines: names },
    ...user,
  })
  const { variants } = await compileModel(request, { ...context, store: cache })
  return variants.map(({ requires, artifact, cache: { reason } }) => [
    'gpu' in requires && requires.gpu,
    readFileSync(artifact.file, 'utf8'),
    reason,
  ])
}

describe('a bundle for GPUs of other machines', () => {
  test('has the plan that each of them built, without a GPU or TensorRT here', async () => {
    const store = sharedStore()
    await buildOn('h100.json', store)
    await buildOn('l4.json', store)
    const all = [
      ['NVIDIA H100', 'a plan of NVIDIA H100', 'hit: remote'],
      ['NVIDIA L4', 'a plan of NVIDIA L4', 'hit: remote'],
    ]
    expect(await bundle(store, ['h100.json', 'l4.json'])).toEqual(all)
    expect(await bundle(store, ['h100.json', 'l4.json'], { frozen: true })).toEqual(all)
    expect(await bundle(store, ['h100.json', 'l4.json'], { targets: ['sm89'] })).toEqual(all.slice(1))
  })

  test('fails, and names the machine, when its plan is not there', async () => {
    const store = sharedStore()
    await buildOn('l4.json', store)
    for (const shared of [store, undefined]) {
      await expect(bundle(shared, ['h100.json'])).rejects.toMatchObject({
        code: 'NOT_CACHED',
        message: expect.stringMatching(/plan of the machine of h100\.json, with NVIDIA H100.*Build on that machine/s),
      })
    }
  })

  test('refuses targets that no machine has, and files that are no diagnosis', async () => {
    await expect(bundle(undefined, ['h100.json'], { targets: ['sm120'] })).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringMatching(/expected sm90, that of NVIDIA H100, received sm120/),
    })
    writeFileSync(join(root, 'other.json'), '{}')
    for (const name of ['other.json', 'nowhere.json']) {
      await expect(bundle(undefined, [name])).rejects.toMatchObject({
        code: 'OPTION_INVALID',
        message: expect.stringMatching(/doctor --json/),
      })
    }
  })

  test('is found by doctor in the words of a machine file', async () => {
    const options = resolveOptions({ tensorrt: { machines: ['h100.json'] } }, root)
    expect(await tensorrt.probe(options, root)).toMatchObject({ available: true, version: '10.15.1.29' })
  })
})

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { beforeAll, describe, expect, test } from 'vitest'
import type { TensorRtEngine } from '../../native/load-addon.ts'
import type { Binding } from '../../runtime/manifest.ts'
import type { CheckedTensor, InferOptions, Session } from '../../runtime/session.ts'
import { createSession } from '../../runtime/tensorrt/session.ts'
import { root } from '../support/openvino-models.ts'

// The JavaScript side of the TensorRT addons, on a GPU of host memory: see native/src/tensorrt/host_double.h. It is no
// result of a GPU.
interface Double {
  load(
    model: 'addOne' | 'fixed' | 'positive' | 'repeat',
    contexts: number,
    cudaGraph: boolean,
    slowMilliseconds: number,
    timed?: boolean,
  ): TensorRtEngine
  loseDevices(): void
  devicesInUse(): number
}

const addon = join(root, 'native', 'build', 'double', 'tensorrt_double.node')
const missing = existsSync(addon) ? undefined : `${addon} is missing: it needs GoogleTest and \`npm run build:native\``
if (missing && process.env['CI'] === 'true') throw new Error(missing)
if (missing) console.warn(`tests on the double of a GPU are skipped: ${missing}`)
const script = fileURLToPath(new URL('./double.mjs', import.meta.url))

describe.skipIf(missing)('session on the double of a GPU', () => {
  let double: Double
  const kept: Uint8Array[] = []

  beforeAll(() => {
    double = createRequire(import.meta.url)(addon) as Double
  })

  const open = (
    model: Parameters<Double['load']>[0],
    { contexts = 2, cudaGraph = true, slow = 0, timed = false } = {},
  ): Session => {
    const inputs: Binding[] = [
      float('x'),
      ...(model === 'repeat' ? [{ name: 'times', dtype: 'int64', dims: [] } as const] : []),
    ]
    const outputs = [float('y'), ...(model === 'positive' ? [float('z')] : [])]
    const cache = { read: async () => new Uint8Array(0), save: async (bytes: Uint8Array) => void kept.push(bytes) }
    const context = { bindings: { inputs, outputs }, subject: 'model', cache }
    return createSession(double.load(model, contexts, cudaGraph, slow, timed), context)
  }
  test.each(['addOne', 'fixed'] as const)('each of many callers gets its own numbers (%s dims)', async (model) => {
    const session = open(model)
    const inputs = Array.from({ length: 200 }, (_, n) => [n, n + 1, n + 2, n + 3])
    expect(await Promise.all(inputs.map((values) => run(session, values)))).toEqual(
      inputs.map((values) => values.map((value) => value + 1)),
    )
    await session.dispose()
  })

  test.each([true, false])(
    'inputs are taken in place with transfer, and copied without (transfer: %s)',
    async (transfer) => {
      const session = open('fixed', { contexts: 1, slow: 5 })
      const data = Float32Array.of(1, 2, 3, 4)
      const running = session.infer(new Map([['x', { dtype: 'float32', dims: [4], data }]]), { transfer })
      if (!transfer) data.fill(100)
      expect((await running).get('y')).toEqual({ dtype: 'float32', dims: [4], data: Float32Array.of(2, 3, 4, 5) })
      await session.dispose()
    },
  )

  test('outputs whose size is known only after the run are returned, the empty one too', async () => {
    const session = open('positive')
    expect(await run(session, [-1, 2, -3, 4])).toEqual([2, 4])
    expect(await run(session, [-1])).toEqual([])
    expect(await run(session, [])).toEqual([])
    await session.dispose()
  })

  // The double counts copies and kernels instead of milliseconds.
  test('a timed session reports copies and computation of each call once', async () => {
    const session = open('fixed', { timed: true })
    await Promise.all(Array.from({ length: 5 }, () => run(session, [1, 2, 3, 4])))
    expect(session.takeGpuTimes?.()).toEqual(
      Array.from({ length: 5 }, () => ({ hostToDevice: 1, compute: 1, deviceToHost: 1 })),
    )
    expect(session.takeGpuTimes?.()).toEqual([])
    await session.dispose()
    const plain = open('fixed')
    await run(plain, [1, 2, 3, 4])
    expect(plain.takeGpuTimes?.()).toEqual([])
    await plain.dispose()
  })

  test('shape tensors are read, and values out of their bounds refused', async () => {
    const session = open('repeat')
    for (const times of [1, 3, 3, 3, 2, 9])
      expect(await run(session, [5], { times })).toEqual(Array.from({ length: times }, () => 5))
    await expect(run(session, [5], { times: 10 })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      message: expect.stringContaining(
        'times [] with values [1..4], or x [0..64] with times [] with values [5..9], received x [1] ' +
          'with times [] with values [10]',
      ),
    })
    await session.dispose()
  })

  test('an abort ends waiting calls, and the next one is served', async () => {
    const session = open('fixed', { contexts: 1, slow: 20 })
    const controller = new AbortController()
    const first = run(session, [1, 2, 3, 4])
    const others = Array.from({ length: 5 }, () => run(session, [1, 2, 3, 4], { signal: controller.signal }))
    controller.abort()
    for (const other of others) await expect(other).rejects.toMatchObject({ code: 'ABORTED' })
    await expect(first).resolves.toEqual([2, 3, 4, 5])
    await expect(run(session, [0, 0, 0, 0])).resolves.toEqual([1, 1, 1, 1])
    await session.dispose()
  })

  test('dispose finishes calls in flight, keeps the kernels, and frees the device', async () => {
    const before = double.devicesInUse()
    const session = open('fixed', { contexts: 2, slow: 5 })
    const order: string[] = []
    const calls = Array.from({ length: 6 }, () => run(session, [1, 2, 3, 4]).then(() => order.push('result')))
    kept.length = 0
    await session.dispose().then(() => order.push('disposed'))
    await Promise.all(calls)
    expect(order).toEqual([...Array.from({ length: 6 }, () => 'result'), 'disposed'])
    expect(kept.map((bytes) => Buffer.from(bytes).toString())).toEqual(['k'])
    expect(double.devicesInUse()).toBe(before)
    await expect(run(session, [1, 2, 3, 4])).rejects.toMatchObject({
      code: 'INFERENCE_FAILED',
      message: expect.stringContaining('the engine is closed'),
    })
  })

  test.each([
    ['is terminated in the middle of its inferences', true],
    ['ends with its inferences', false],
  ])('the process goes on when its worker %s', async (_, terminate) => {
    const workers = await Promise.all(
      Array.from({ length: 3 }, async () => {
        const worker = new Worker(script, { workerData: [addon, 'slow'] })
        await once(worker, 'message')
        return worker
      }),
    )
    const ends = workers.map((worker) => (terminate ? worker.terminate() : once(worker, 'exit')))
    await Promise.all(ends)
    const session = open('fixed')
    await expect(run(session, [1, 2, 3, 4])).resolves.toEqual([2, 3, 4, 5])
    await session.dispose()
  })

  test.each([
    ['ends by itself with a model that is loaded and idle', 'idle', 0, ''],
    ['can be ended in the middle of inferences', 'exit', 3, ''],
    ['frees models that nobody holds any more', 'garbage', 0, '1'],
  ])('a process that %s', (_, how, status, output) => {
    const result = spawnSync(process.execPath, ['--expose-gc', script, addon, how], { encoding: 'utf8' })
    expect(result).toMatchObject({ status, stdout: output, stderr: '' })
  })

  // Last: all devices of this process are lost by it.
  test('a lost device is an error for every caller, and dispose still works', async () => {
    const session = open('fixed')
    await run(session, [1, 2, 3, 4])
    double.loseDevices()
    const calls = Array.from({ length: 4 }, () => run(session, [1, 2, 3, 4]))
    // All at once: one that rejects while another is awaited would be an unhandled rejection.
    const lost = { code: 'INFERENCE_FAILED', message: expect.stringContaining('the GPU has fallen off the bus') }
    await Promise.all(calls.map((call) => expect(call).rejects.toMatchObject(lost)))
    await session.dispose()
  })
})

function float(name: string): Binding {
  return { name, dtype: 'float32', dims: null }
}

/** The last output for x, and for `times` where the model repeats. */
async function run(
  session: Session,
  values: readonly number[],
  { times, ...options }: InferOptions & { readonly times?: number } = {},
): Promise<number[]> {
  const inputs = new Map<string, CheckedTensor>([
    ['x', { dtype: 'float32', dims: [values.length], data: Float32Array.from(values) }],
  ])
  if (times !== undefined) inputs.set('times', { dtype: 'int64', dims: [], data: BigInt64Array.of(BigInt(times)) })
  const outputs = await session.infer(inputs, options)
  return Array.from(outputs.get(outputs.has('z') ? 'z' : 'y')?.data as Float32Array)
}

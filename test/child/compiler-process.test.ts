import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { watchMemory } from '../../plugin/child/memory.ts'
import { runChild, type ChildOptions } from '../../plugin/child/run.ts'
import { currentBudget, enterSlot, estimateBytes, mayStart } from '../../plugin/child/slots.ts'
import { startProgress } from '../../plugin/compile/progress.ts'
import { isRunning } from '../../plugin/files/owner.ts'
import { tempFolder } from '../support/helpers.ts'

const folder = tempFolder()
afterEach(() => void vi.unstubAllEnvs())
const worker = new URL('./compiler-worker.mjs', import.meta.url)

function run(does: string, options: ChildOptions & { verbose?: boolean } = {}): Promise<void> {
  const { verbose = false, ...rest } = options
  return runChild(
    worker,
    { name: 'pose', model: 'pose.onnx', output: join(folder, does), settings: { does }, verbose },
    rest,
  )
}

describe('compiler process', () => {
  // Windows has no signals.
  test.skipIf(process.platform === 'win32').each([
    ['is killed', /^pose: the compiler process was killed by SIGKILL before it finished\..*runs out of memory/s],
    [
      'reads memory that is not its own',
      /^pose: the compiler process was killed by SIGSEGV before it finished; its last output: last line of a library/,
    ],
    // Of the heap that NODE_OPTIONS gives it below.
    [
      'runs out of memory',
      /^pose: the compiler process (was killed by SIGABRT|exited with code \d+) before it finished; its last output: .*heap out of memory/s,
    ],
    ['exits', /^pose: the compiler process exited with code 3 before it finished/],
  ])('a compiler that %s is an error with its last output, and this process goes on', async (does, message) => {
    vi.stubEnv('NODE_OPTIONS', '--max-old-space-size=32')
    await expect(run(does)).rejects.toMatchObject({ code: 'COMPILE_FAILED', message: expect.stringMatching(message) })
  })

  test.each([false, true])(
    'phases, warnings and errors are always logged, details with verbose: %s',
    async (verbose) => {
      const lines: string[] = []
      await run('talks', { verbose, log: (severity, text) => lines.push(`${severity}: ${text}`) })
      expect(lines).toEqual([
        'phase: Optimizing graph',
        ...(verbose ? ['info: a detail'] : []),
        'warning: a warning',
        'error: an error',
      ])
    },
  )

  // The point of time is an event: no machine is too slow or too fast for it.
  test.each<[string, (abort: () => void) => ChildOptions]>([
    [
      'before it was started',
      (abort) => {
        abort()
        return {}
      },
    ],
    [
      'in the tick after the call',
      (abort) => {
        queueMicrotask(abort)
        return {}
      },
    ],
    [
      'in the next turn of the event loop',
      (abort) => {
        setImmediate(abort)
        return {}
      },
    ],
    ['when it may start', (abort) => ({ onStart: abort })],
    [
      'one millisecond later',
      (abort) => {
        setTimeout(abort, 1)
        return {}
      },
    ],
    ['while it starts', (abort) => ({ onStart: () => setTimeout(abort, 20) })],
    ['while it works', (abort) => ({ log: abort })],
  ])('a compiler cancelled %s has ended when the call rejects', async (_, arrange) => {
    const controller = new AbortController()
    let pid = 0
    const options = arrange(() => controller.abort())
    const log: ChildOptions['log'] = (severity, text) => {
      pid = Number(text.slice('pid '.length))
      options.log?.(severity, text)
    }
    await expect(
      run('writes half an engine for ever', { ...options, log, signal: controller.signal }),
    ).rejects.toMatchObject({ code: 'COMPILE_ABORTED' })
    expect(pid === 0 || isRunning({ pid })).toBe(pid === 0)
  })
})

// Windows has no signals.
describe.skipIf(process.platform === 'win32')('end of the building process', () => {
  test.each<[string, (child: ChildProcess) => void]>([
    ['by Ctrl-C in a terminal', ({ pid }) => process.kill(-pid!, 'SIGINT')],
    ['with its terminal', ({ pid }) => process.kill(-pid!, 'SIGHUP')],
    ['by SIGINT', (child) => child.kill('SIGINT')],
    ['by SIGTERM', (child) => child.kill('SIGTERM')],
    ['by SIGKILL', (child) => child.kill('SIGKILL')],
    ['by process.exit()', (child) => child.send('exit')],
  ])('a process that ends %s takes the compiler and its files with it', async (_, end) => {
    const own = mkdtempSync(join(folder, 'parent-'))
    const parent = fork(fileURLToPath(new URL('./compiler-parent.mjs', import.meta.url)), [join(own, 'engine')], {
      detached: true,
    })
    const [pid] = (await once(parent, 'message')) as [number]
    expect(isRunning({ pid })).toBe(true)
    expect(readdirSync(own)).toEqual(['engine'])
    end(parent)
    await vi.waitFor(() => expect(isRunning({ pid })).toBe(false), { timeout: 10_000 })
    expect(existsSync(own)).toBe(false)
  })
})

describe('budget of compilers', () => {
  const GB = 1e9

  test.each<[string, { bytes: number; running: number[]; cores: number; memory: number; may: boolean }]>([
    [
      'the first one, however large',
      {
        bytes: 100 * GB,
        running: [],
        cores: 2,
        memory: 8 * GB,
        may: true,
      },
    ],
    [
      'a second one that fits',
      {
        bytes: 3 * GB,
        running: [4 * GB],
        cores: 2,
        memory: 8 * GB,
        may: true,
      },
    ],
    [
      'one that fits to the byte',
      {
        bytes: 4 * GB,
        running: [4 * GB],
        cores: 2,
        memory: 8 * GB,
        may: true,
      },
    ],
    [
      'one that the memory does not hold',
      {
        bytes: 5 * GB,
        running: [4 * GB],
        cores: 2,
        memory: 8 * GB,
        may: false,
      },
    ],
    [
      'one more than there are cores',
      {
        bytes: GB,
        running: [GB, GB],
        cores: 2,
        memory: 64 * GB,
        may: false,
      },
    ],
    [
      'a small one beside one that is too large for the machine',
      {
        bytes: GB,
        running: [100 * GB],
        cores: 8,
        memory: 8 * GB,
        may: false,
      },
    ],
    [
      'many small ones on a large machine',
      {
        bytes: GB,
        running: Array<number>(15).fill(GB),
        cores: 16,
        memory: 64 * GB,
        may: true,
      },
    ],
    [
      'a second one where no memory is free',
      {
        bytes: GB,
        running: [GB],
        cores: 4,
        memory: 0,
        may: false,
      },
    ],
    [
      'a second one on one core',
      {
        bytes: GB,
        running: [GB],
        cores: 1,
        memory: 64 * GB,
        may: false,
      },
    ],
  ])('the budget allows the right number of compilers for %s', (_, { bytes, running, cores, memory, may }) => {
    expect(mayStart(bytes, running, { cores, memory })).toBe(may)
  })

  test.each([
    ['TensorRT-RTX, ten convolutions without weights', 0, 0.29 * GB],
    ['TensorRT-RTX, densenet121 with made weights', 214_344, 0.87 * GB],
    ['TensorRT-RTX, 24 convolutions', 226_494_736, 0.9 * GB],
    ['TensorRT-RTX, 14 matrices', 939_525_137, 2.11 * GB],
    ['ONNX Runtime, 14 matrices', 939_525_137, 2.97 * GB],
    ['OpenVINO, 14 matrices', 939_525_137, 1.99 * GB],
  ])('the estimate is above the measured memory: %s', (_, modelBytes, measured) => {
    expect(estimateBytes(modelBytes)).toBeGreaterThanOrEqual(measured)
    expect(estimateBytes(modelBytes)).toBeLessThan(1.5 * measured + GB)
  })

  test('the budget is at most what this process may use', () => {
    const { cores, memory } = currentBudget()
    expect(cores).toBe(availableParallelism())
    expect(memory).toBeGreaterThan(0)
    expect(memory).toBeLessThan(process.constrainedMemory() || Infinity)
  })

  test('compilers start in the order of their calls, and one that gives up makes room', async () => {
    const entered: string[] = []
    const enter = async (name: string, bytes: number, signal?: AbortSignal) => {
      const leave = await enterSlot(bytes, signal)
      entered.push(leave ? name : `${name} gave up`)
      return leave
    }
    const impatient = new AbortController()
    // More than any machine has: it runs alone, and holds up those behind it.
    const leave = await enter('first', 1e18)
    const [second, third] = [enter('second', 1e18, impatient.signal), enter('third', 1)]
    impatient.abort()
    await second
    expect(entered).toEqual(['first', 'second gave up'])
    leave?.()
    ;(await third)?.()
    expect(entered).toEqual(['first', 'second gave up', 'third'])
    expect(await enterSlot(1, AbortSignal.abort())).toBeUndefined()
  })
})

describe('progress of a long build', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  test('a line comes after 5 seconds, then ever less often, with the phase and the last duration', () => {
    const lines: string[] = []
    const progress = startProgress('pose  fp16  tensorrt', 81.26, (line) => lines.push(line))
    vi.advanceTimersByTime(4999)
    expect(lines).toEqual([])
    vi.advanceTimersByTime(1)
    progress.phase('Timing graph nodes')
    vi.advanceTimersByTime(129_999)
    progress.stop()
    vi.advanceTimersByTime(1_000_000)
    expect(lines).toEqual([
      'pose  fp16  tensorrt: 5 s, 81.3 s the last time',
      ...['15', '35', '75'].map(
        (seconds) => `pose  fp16  tensorrt: ${seconds} s, Timing graph nodes, 81.3 s the last time`,
      ),
    ])
  })

  test('a first build has no duration to compare with', () => {
    const lines: string[] = []
    const progress = startProgress('pose  fp32  openvino', undefined, (line) => lines.push(line))
    progress.phase('compiling')
    vi.advanceTimersByTime(5000)
    progress.stop()
    expect(lines).toEqual(['pose  fp32  openvino: 5 s, compiling'])
  })
})

function started(): ChildProcess {
  return fork(fileURLToPath(new URL('./compiler-parent.mjs', import.meta.url)))
}

describe.skipIf(process.platform !== 'linux')('the memory of a child process', () => {
  test('is given up first when the system runs out of it', async () => {
    const child = started()
    const { stop } = watchMemory(child, Infinity)
    const score = `/proc/${child.pid}/oom_score_adj`
    await vi.waitFor(() => expect(readFileSync(score, 'utf8').trim()).toBe('1000'))
    stop()
    child.kill('SIGKILL')
  })

  test('above its limit ends the process', async () => {
    const child = started()
    const { exceeded, stop } = watchMemory(child, 1 << 20)
    const [, signal] = await once(child, 'exit')
    expect([signal, exceeded()]).toEqual(['SIGKILL', true])
    stop()
  })
})

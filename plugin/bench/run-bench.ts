import { availableParallelism, cpus } from 'node:os'
import { OnnxEngineError, textOf } from '../../runtime/errors.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { median } from '../measure/numbers.ts'
import { checkShapes } from '../options/check-shapes.ts'
import type { CompileOptions } from '../options/schema.ts'
import type { Contender, Contenders } from './contenders.ts'
import type { BenchReport, BenchRow, EngineRequest, InputOrigin, OpenTimes, RowFigures, RowName } from './contract.ts'
import type { Amount, Calls } from './measure-calls.ts'
import { type MeasuredProcess, startMeasured } from './measured-process.ts'
import { prepareInputs } from './prepare-inputs.ts'
import { summarize } from './statistics.ts'

// bench measures engines side by side. contenders.ts makes them, prepare-inputs.ts the inputs that all of them get;
// this file runs each in a process of its own (engine-child.ts), in turn, and makes the report of contract.ts.

/** How long to measure. */
export interface BenchAmount extends Amount {
  /** Milliseconds before anything counts. */
  readonly warmup: number
}

/** How the contenders are measured. */
export interface BenchSettings {
  readonly amount: BenchAmount
  readonly concurrency: readonly number[]
  readonly origin: InputOrigin
  readonly options: Pick<CompileOptions, 'shapes' | 'profiles'>
  readonly root: string
}

/** What is known while the bench runs. */
export interface BenchProgress {
  readonly rows: readonly RowProgress[]
  /** Milliseconds that are left, as far as the engines keep their pace. */
  readonly left: number
}

/** A row so far. */
export type RowProgress = RowName & {
  /** From 0 to 1. */
  readonly done: number
  /** Milliseconds; 0 before the first round. */
  readonly median: number
  readonly failed?: string
}

/** Rounds that the time of a row is divided into: between two of them, all other rows have their turn. */
const rounds = 10

/** Measures all contenders in turn, A B C A B C, each in its own process. Rows that cannot run say why. */
export async function runBench(
  { model, contenders }: Contenders,
  settings: BenchSettings,
  onProgress: (progress: BenchProgress) => void = () => {},
): Promise<BenchReport> {
  const { origin, options, root } = settings
  checkShapes(options, model.bindings, model.name)
  await using folder = await temporaryFolder()
  const manifest = mergedManifest(contenders)
  const inputs = await prepareInputs({ model, manifest, origin, options, root }, folder.path)
  const engines = await openAll(contenders, inputs.file)
  try {
    const runs = engines.flatMap((engine) => settings.concurrency.map((callers) => newRun(engine, callers)))
    await measureInTurn(runs, settings.amount, onProgress)
    const rows: BenchRow[] = []
    for (const run of runs) rows.push(await finishRow(run))
    const text = typeof origin === 'string' ? origin : origin.samples
    return {
      schema: 1,
      model: model.name,
      machine: machineFacts(),
      inputs: { origin: text, tensors: inputs.tensors },
      rows,
    }
  } finally {
    for (const { process: child } of engines) child?.close()
  }
}

/** All engines as one model, so that the first one that this machine runs can try random inputs. */
function mergedManifest(contenders: readonly Contender[]) {
  const manifests = contenders.flatMap((contender) =>
    'opponent' in contender && 'manifest' in contender.opponent ? [contender.opponent.manifest] : [],
  )
  const [first] = manifests
  if (!first) throw new OnnxEngineError('NO_VARIANT', 'bench: no engine could be made')
  return { ...first, variants: manifests.flatMap(({ variants }) => variants) }
}

/** A contender and its process, or why there is none. */
interface OpenedEngine {
  readonly contender: Contender
  readonly process?: MeasuredProcess
  readonly times?: OpenTimes
  readonly failed?: string
}

// One after the other: engines that are opened at once disturb each other's load times.
async function openAll(contenders: readonly Contender[], inputs: string): Promise<readonly OpenedEngine[]> {
  const opened: OpenedEngine[] = []
  for (const contender of contenders) {
    if ('failed' in contender) {
      opened.push({ contender, failed: contender.failed })
      continue
    }
    const child = startMeasured(new URL('./engine-child.js', import.meta.url))
    const request: EngineRequest = { what: 'open', opponent: contender.opponent, inputs }
    try {
      opened.push({ contender, process: child, times: await child.ask<OpenTimes>(request) })
    } catch (error) {
      child.close()
      opened.push({ contender, failed: textOf(error) })
    }
  }
  return opened
}

/** The measurement of one engine with so many callers. */
interface Run {
  readonly engine: OpenedEngine
  readonly callers: number
  readonly times: Float64Array[]
  readonly rounds: number[]
  elapsed: number
  count: number
  failed: string | undefined
}

function newRun(engine: OpenedEngine, callers: number): Run {
  return { engine, callers, times: [], rounds: [], elapsed: 0, count: 0, failed: engine.failed }
}

async function measureInTurn(
  runs: readonly Run[],
  amount: BenchAmount,
  onProgress: (progress: BenchProgress) => void,
): Promise<void> {
  onProgress(progressOf(runs, amount))
  for (const run of runs) await measure(run, { milliseconds: amount.warmup, calls: 0 })
  for (;;) {
    const pending = runs.filter((run) => doneShare(run, amount) < 1)
    if (pending.length === 0) return
    for (const run of pending) {
      const calls = await measure(run, { milliseconds: amount.milliseconds / rounds, calls: 1 })
      if (calls) addRound(run, calls)
      onProgress(progressOf(runs, amount))
    }
  }
}

async function measure(run: Run, amount: Amount): Promise<Calls | undefined> {
  if (run.failed !== undefined) return undefined
  const request: EngineRequest = { what: 'calls', callers: run.callers, ...amount }
  try {
    return await run.engine.process?.ask<Calls>(request)
  } catch (error) {
    run.failed = textOf(error)
    return undefined
  }
}

function addRound(run: Run, { times, elapsed }: Calls): void {
  run.times.push(times)
  run.rounds.push(median(times))
  run.elapsed += elapsed
  run.count += times.length
}

function doneShare({ failed, elapsed, count }: Run, { milliseconds, calls }: Amount): number {
  return failed === undefined ? Math.min(1, elapsed / milliseconds, count / calls) : 1
}

function progressOf(runs: readonly Run[], amount: BenchAmount): BenchProgress {
  const rows = runs.map((run): RowProgress => {
    const { engine, callers, rounds: medians, failed } = run
    const name = { ...engine.contender.name, concurrency: callers, done: doneShare(run, amount) }
    return { ...name, median: medians.at(-1) ?? 0, ...(failed !== undefined && { failed }) }
  })
  return { rows, left: runs.reduce((sum, run) => sum + timeLeft(run, amount), 0) }
}

function timeLeft(run: Run, amount: BenchAmount): number {
  const share = doneShare(run, amount)
  if (share === 1) return 0
  const total = share === 0 ? amount.milliseconds + amount.warmup : run.elapsed / share
  return total * (1 - share)
}

async function finishRow(run: Run): Promise<BenchRow> {
  const { engine, callers } = run
  const name: RowName = { ...engine.contender.name, concurrency: callers }
  const figures = run.failed === undefined ? await figuresOf(run) : undefined
  return figures ? { ...name, ...figures } : { ...name, failed: run.failed ?? 'it was not measured' }
}

async function figuresOf(run: Run): Promise<RowFigures | undefined> {
  const { process: child, times: opened, contender } = run.engine
  if (!child || !opened || 'failed' in contender) return undefined
  const { size, build, accuracy } = contender
  const latency = summarize(joined(run.times))
  try {
    const calls = Math.min(1000, Math.max(3, Math.round(delayMilliseconds / Math.max(latency.median, 1e-3))))
    const loopDelay = await child.ask<number>({ what: 'delay', callers: run.callers, calls } satisfies EngineRequest)
    const memory = await child.ask<number>({ what: 'memory' } satisfies EngineRequest)
    const gpu = runsOnGpu(contender) ? await gpuOf(child, run.callers, calls) : null
    const throughput = (1000 * run.count) / run.elapsed
    return { size, build, accuracy, ...opened, latency, throughput, memory, loopDelay, gpu, rounds: run.rounds }
  } catch (error) {
    run.failed = textOf(error)
    return undefined
  }
}

function runsOnGpu({ name }: Contender): boolean {
  return name.backend === 'tensorrt' || name.backend === 'tensorrt-rtx'
}

// A GPU without room for the engine twice must not cost the other figures.
async function gpuOf(child: MeasuredProcess, callers: number, calls: number): Promise<RowFigures['gpu']> {
  try {
    return await child.ask<RowFigures['gpu']>({ what: 'gpu', callers, calls } satisfies EngineRequest)
  } catch (error) {
    return { failed: textOf(error) }
  }
}

/** How long the event loop is watched, about. */
const delayMilliseconds = 500

function joined(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0))
  let offset = 0
  for (const part of parts) {
    all.set(part, offset)
    offset += part.length
  }
  return all
}

function machineFacts(): BenchReport['machine'] {
  const { platform, arch, versions } = process
  const cpu = cpus()[0]?.model.trim() ?? 'unknown CPU'
  return { cpu, threads: availableParallelism(), platform, arch, node: versions.node }
}

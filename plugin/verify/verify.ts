import { writeFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { ModelManifest } from '../../runtime/manifest.ts'
import { onnxruntime } from '../backend/onnxruntime/backend.ts'
import { type CacheKey, cacheKey } from '../cache/key.ts'
import { countdown, type Countdown } from '../child/countdown.ts'
import { runChild } from '../child/run.ts'
import { inTemporaryFolder } from '../files/temporary-folder.ts'
import { modelBytes } from '../onnx/size.ts'
import { widenIo } from '../precision/io.ts'
import type { PassRequest, PrecisionPass } from '../precision/pass.ts'
import type { FoundSamples } from '../samples/find.ts'
import { runWithSamples } from '../samples/run.ts'
import type { SampleSource } from '../samples/source.ts'
import { findBlame } from './blame.ts'
import type { KnownInputs } from './random-inputs.ts'
import { type Verification, unusableReference, judge, distanceOf } from './verdict.ts'
import type { VerifySettings, VerifyResult, Phase } from './verify-child.ts'

/** An engine to be verified. */
export interface VerifyRequest extends PassRequest {
  readonly pass: PrecisionPass | undefined
  /** The engine's own key: another engine is another comparison. */
  readonly key: CacheKey
  /** Names the import in the cache's history. */
  readonly family: string
  readonly manifest: ModelManifest
}

/** Raised when the same outputs give another verdict. */
const version = 5

const defaultTimeout = 300_000

/**
 * Compares an engine with the fp32 model on ONNX Runtime, on the samples of the options or on random inputs, and finds
 * the nodes to blame when it is too far. The outcome is cached with the engine's key. Undefined when the options want
 * no comparison, or ONNX Runtime is not there to run the fp32 model.
 *
 * @throws OnnxEngineError VERIFICATION_FAILED when time runs out or the fp32 model gives no numbers on the samples,
 *   INFERENCE_FAILED when the engine fails or dies, SAMPLES_INVALID, COMPILE_ABORTED
 */
export async function verifyEngine(request: VerifyRequest): Promise<Verification | undefined> {
  const {
    options: { engine, verify, calibration, shapes, profiles },
    options,
    key,
    family,
    name,
    store,
    signal,
    log,
    root,
  } = request
  if (verify === false || engine === 'fp32') return undefined
  const probe = await onnxruntime.probe(options, root)
  if (!probe.available) {
    log(`${name}: not verified, since ${probe.reason}`)
    return undefined
  }
  const { samples: wanted = calibration, ...thresholds } = verify
  const option = verify.samples ? 'verify.samples' : 'calibration'
  const samples =
    wanted &&
    (await (
      await import('../samples/find.ts')
    ).modelSamples({ ...request, options: { ...options, calibration: wanted } }, option))
  const values = Object.fromEntries(Object.entries(profiles[0]?.values ?? {}).map(([input, { opt }]) => [input, opt]))
  const known = { dims: { ...profiles[0]?.opt, ...shapes }, values }
  const facts = {
    verification: version,
    engine: key.digest,
    reference: probe.version,
    samples: samples?.digest ?? randomFact(values),
    thresholds: JSON.stringify(Object.entries(thresholds).sort()),
  }
  const { artifact } = await store.getOrBuild(
    { key: cacheKey(facts), family: `${family} verification`, label: name, signal },
    async (output) => {
      const emulated = !(request.backend === 'onnxruntime' || request.backend === 'openvino')
      const late = countdown(verify.timeout ?? defaultTimeout)
      const measure = (candidate: VerifySettings['candidate'], limit?: number) =>
        compareCandidate(request, samples, late, {
          module: probe.detail['module'] as string,
          candidate,
          known,
          ...(limit !== undefined && { limit }),
        })
      const measureOnnx = (pinned: readonly string[], limit?: number) =>
        withLowered(request, pinned, (onnx) => measure({ onnx }, limit))
      const result = emulated ? await measureOnnx([]) : await measure({ manifest: request.manifest })
      const unusable = samples && unusableReference(request, result)
      if (unusable) throw unusable
      const failures = judge(result, request)
      // Emulated with nothing pinned it has failed just now.
      const isFine = async (pinned: readonly string[]) =>
        !(emulated && pinned.length === 0) && judge(await measureOnnx(pinned), request).length === 0
      const errorOf = async (pinned: readonly string[]) => distanceOf(await measureOnnx(pinned, 1))
      const blamed = failures.length === 0 ? noBlame : await blameNodes(request, late, isFine, errorOf)
      await writeFile(output, JSON.stringify({ ...result, emulated, failures, ...blamed } satisfies Verification))
    },
  )
  return JSON.parse(await readFile(artifact.file, 'utf8')) as Verification
}

// Values of shape tensors are in the keys of TensorRT's engines alone.
function randomFact(values: KnownInputs['values']): string {
  const given = Object.entries(values).map(([input, numbers]) => `${input}=${numbers.join('x')}`)
  return ['random', ...given.sort()].join(' ')
}

const noBlame: Pick<Verification, 'blame' | 'spread'> = { blame: [], spread: null }

async function blameNodes(
  request: VerifyRequest,
  late: Countdown,
  isFine: (pinned: readonly string[]) => Promise<boolean>,
  errorOf: (pinned: readonly string[]) => Promise<number>,
): Promise<typeof noBlame> {
  const { pass, log, name, signal, model } = request
  if (!pass) return noBlame
  log(`${name}: too far from the fp32 model; looking for the nodes to blame`)
  const { lowerModel } = await import('../precision/lower.ts')
  const { changed = [] } = await inTemporaryFolder((folder) =>
    lowerModel(emulating(pass), { ...request, log: () => {} }, folder, async () => {}),
  )
  const tried = async <T>(trial: Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await trial
    } catch (error) {
      // The engine is too far whatever the search says: what breaks it off must not hide that.
      if (signal?.aborted) throw error
      return otherwise
    }
  }
  const { names, spread } = await findBlame(changed, {
    isFine: (pinned) => tried(isFine(pinned), false),
    errorOf: (pinned) => tried(errorOf(pinned), Infinity),
    outOfTime: () => late.signal.aborted,
  })
  if (names.length === 0) return noBlame
  const blame = await (await import('./culprits.ts')).describeCulprits(model.file, names)
  return { blame, spread: spread.length > 0 ? { of: changed.length, worst: spread } : null }
}

/** Lowers the model with these nodes and weights left in fp32, for ONNX Runtime's CPU. */
async function withLowered<T>(
  request: VerifyRequest,
  pinned: readonly string[],
  use: (file: string) => Promise<T>,
): Promise<T> {
  const { pass, options } = request
  if (!pass) throw new TypeError(`${request.name}: nothing was lowered`)
  const precision = { ...options.precision, fp32: [...options.precision.fp32, ...pinned] }
  const { lowerModel } = await import('../precision/lower.ts')
  let result: T | undefined
  await inTemporaryFolder((folder) =>
    lowerModel(
      emulating(pass),
      { ...request, options: { ...options, precision }, log: () => {} },
      folder,
      async (file) => {
        result = await use(file)
      },
    ),
  )
  return result!
}

// Without `inspect`: graphs that are only tried are not measured for the user.
function emulating({ describe, lower }: PrecisionPass): PrecisionPass {
  return {
    describe,
    async lower(graph, request) {
      const lowered = await lower(graph, request)
      // What is left as it is may hold 16 bits of its own, which the reference computes in the same way.
      if (lowered.lowered > 0) (await import('../precision/half/emulate.ts')).emulateHalf(graph)
      await widenIo(graph, request.model.bindings, request.options.precision.io)
      return lowered
    },
  }
}

async function compareCandidate(
  request: VerifyRequest,
  samples: FoundSamples | undefined,
  late: Countdown,
  given: Pick<VerifySettings, 'module' | 'candidate' | 'known' | 'limit'>,
): Promise<VerifyResult> {
  const {
    model,
    name,
    signal,
    options: { engine, verify },
    backend,
  } = request
  const { atol = null, rtol = null, timeout = defaultTimeout } = verify || {}
  const settings: Omit<VerifySettings, 'source'> = { ...given, bindings: model.bindings, atol, rtol }
  const either = signal ? AbortSignal.any([signal, late.signal]) : late.signal
  const worker = new URL('./verify-child.js', import.meta.url)
  let phase: Phase = 'wait'
  const told = (text: string) => {
    if (Object.hasOwn(phases, text)) phase = text as Phase
  }
  try {
    if (samples)
      return (await runWithSamples(worker, limited(samples.source, given.limit), { ...settings }, either, model.file, {
        told,
        started: late.start,
        modelBytes: modelBytes(model),
      })) as VerifyResult
    return await inTemporaryFolder(async (folder) => {
      const output = join(folder, 'result.json')
      await runChild(
        worker,
        { name, model: model.file, output, settings: { ...settings } },
        {
          signal: either,
          log: (_, text) => told(text),
          started: late.start,
          modelBytes: modelBytes(model),
          what: 'measuring',
        },
      )
      return JSON.parse(await readFile(output, 'utf8')) as VerifyResult
    })
  } catch (error) {
    if (late.signal.aborted && !signal?.aborted) {
      const hint = `Raise 'verify.timeout', give fewer samples, or set 'verify: false'`
      throw new OnnxEngineError('VERIFICATION_FAILED', name, {
        expected: `a comparison within ${timeout / 1000} s`,
        received: 'none',
        hint,
        cause: error,
      })
    }
    if (!(error instanceof OnnxEngineError) || error.code !== 'COMPILE_FAILED') throw error
    const where = `${name}: engine=${engine} on ${backend} could not be compared with the fp32 model: ${phases[phase]}: ${error.message}`
    throw new OnnxEngineError('INFERENCE_FAILED', where, {
      hint: `This tells nothing of its accuracy. Use another precision or backend, or set 'verify: false'`,
      cause: error,
    })
  } finally {
    late.stop()
  }
}

function limited(source: SampleSource, limit = source.limit): SampleSource {
  return { ...source, limit: Math.min(limit, source.limit) }
}

/** What the comparing process was at when it died. */
const phases: Readonly<Record<Phase, string>> = {
  wait: 'while it read a sample',
  reference: 'while it ran the fp32 model',
  engine: 'while it ran the engine',
}

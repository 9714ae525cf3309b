import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { ModelManifest, Precision } from '../../runtime/manifest.ts'
import { runChild } from '../backend/child.ts'
import { onnxruntime } from '../backend/onnxruntime.ts'
import { cacheKey, type CacheKey } from '../cache/key.ts'
import type { FoundSamples } from './calibrate.ts'
import { findBlame } from './blame.ts'
import type { Comparison } from './compare.ts'
import type { PassRequest, PrecisionPass } from './index.ts'
import { runWithSamples } from './samples.ts'
import type { VerifyResult, VerifySettings } from './verify-child.ts'

/** An engine to be verified. */
export interface VerifyRequest extends PassRequest {
  readonly pass: PrecisionPass | undefined
  /** The engine's own key: another engine is another comparison. */
  readonly key: CacheKey
  /** Names the import in the cache's history. */
  readonly family: string
  readonly manifest: ModelManifest
}

/** How an engine compares with the fp32 model. A type, not an interface: it is kept as JSON. */
export type Verification = VerifyResult & {
  /** Whether the lowered graph ran on the CPU in the place of the engine, which cannot run here. */
  readonly emulated: boolean
  /** What is further away than allowed, a line for each output. */
  readonly failures: readonly string[]
  /** Fewest nodes or weights that must stay in fp32 for all to be well; empty when that would not help. */
  readonly blame: readonly string[]
}

/** Raised when the same outputs give another verdict. */
const version = 1

const defaultTimeout = 300_000

/** Least cosine where the user says nothing: a net that lost a layer is far below, rounding alone is far above. */
const leastCosine: Readonly<Record<Precision, number>> = { fp32: 1, fp16: 0.999, bf16: 0.99, int8: 0.98, 'int8-weights': 0.99 }

/**
 * Compares an engine with the fp32 model on ONNX Runtime, on the samples of the options or on random inputs, and finds the nodes to blame
 * when it is too far. The outcome is cached with the engine's key. Undefined when the options want no comparison, or ONNX Runtime is not
 * there to run the fp32 model.
 *
 * @throws OnnxEngineError VERIFICATION_FAILED when time runs out, SAMPLES_INVALID, COMPILE_ABORTED, INFERENCE_FAILED
 */
export async function verifyEngine(request: VerifyRequest): Promise<Verification | undefined> {
  const { options: { engine, verify, calibration, shapes, profiles }, options, key, family, name, store, signal, log, root } = request
  if (verify === false || engine === 'fp32') return undefined
  const probe = await onnxruntime.probe(options, root)
  if (!probe.available) {
    log(`${name}: not verified, since ${probe.reason}`)
    return undefined
  }
  const { samples: wanted = calibration, ...thresholds } = verify
  const samples = wanted && (await (await import('./calibrate.ts')).modelSamples({ ...request, options: { ...options, calibration: wanted } }))
  const facts = { verification: version, engine: key.digest, reference: probe.version, samples: samples?.digest ?? 'random', thresholds: JSON.stringify(Object.entries(thresholds).sort()) }
  const { artifact } = await store.getOrBuild({ key: cacheKey(facts), family: `${family} verification`, label: name, signal }, async (output) => {
    const emulated = !(request.backend === 'onnxruntime' || request.backend === 'openvino')
    const dims = { ...profiles[0]?.opt, ...shapes }
    const measure = (candidate: VerifySettings['candidate']) => measureCandidate(request, samples, { module: probe.detail['module'] as string, candidate, dims })
    const measureOnnx = (pinned: readonly string[]) => measurePinned(request, pinned, (onnx) => measure({ onnx }))
    const result = emulated ? await measureOnnx([]) : await measure({ manifest: request.manifest })
    const failures = judge(result, request)
    const blame = failures.length === 0 ? [] : await blameNodes(request, async (pinned) => judge(await measureOnnx(pinned), request).length === 0)
    await writeFile(output, JSON.stringify({ ...result, emulated, failures, blame } satisfies Verification))
  })
  return JSON.parse(await readFile(artifact.file, 'utf8')) as Verification
}

/** The error of an engine that is too far from the fp32 model: a table of its outputs, and the nodes to blame. */
export function verificationError({ name, options: { engine }, backend }: PassRequest, { inputs, failures, blame, outputs, emulated }: Verification): OnnxEngineError {
  const table = outputs.map((output) => `  ${rowOf(output)}`)
  const nodes = blame.length > 0 ? `\nIn fp32 this would be well: ${blame.slice(0, 20).join(', ')}${blame.length > 20 ? ` and ${blame.length - 20} more` : ''}` : ''
  const where = `${name}: engine=${engine} on ${backend}${emulated ? ' (emulated)' : ''} differs from the fp32 model on ${inputs}: ${failures.join('; ')}\n${table.join('\n')}${nodes}\n`
  return new OnnxEngineError('VERIFICATION_FAILED', where, {
    hint: blame.length > 0 ? `List them in the option 'precision.fp32', set 'precision.autoPin', or allow more by 'verify'` : `Use another precision, or allow more by the option 'verify'`,
  })
}

/** What a comparison found, for the line of a model: 'max abs 3.0e-4, cosine 0.99999, argmax 100% (random inputs)'. */
export function verificationText({ skipped, outputs, inputs, emulated }: Verification): string {
  if (skipped !== undefined) return `not verified: ${skipped}`
  const worst = outputs.map(({ maxAbs }) => maxAbs ?? Infinity).reduce((most, value) => Math.max(most, value), 0)
  const [cosine, argmax] = [Math.min(1, ...outputs.map((output) => output.cosine)), Math.min(1, ...outputs.map((output) => output.argmax))]
  return `max abs ${worst.toExponential(1)}, cosine ${cosine.toFixed(5)}, argmax ${percent(argmax)} (${inputs}${emulated ? ', emulated' : ''})`
}

/** A share as a percentage that says 100% only of all. */
export function percent(part: number): string {
  return `${part === 1 ? 100 : Math.min(99.9, part * 100).toFixed(part > 0.99 ? 1 : 0)}%`
}

function judge({ outputs }: VerifyResult, { options: { engine, verify } }: PassRequest): string[] {
  const { cosine = leastCosine[engine], argmax = 0 } = verify || {}
  return outputs.flatMap((output) => {
    const problem = problemOf(output, cosine, argmax)
    return problem === undefined ? [] : [`output ${JSON.stringify(output.name)} ${problem}`]
  })
}

function problemOf({ trouble, maxAbs, cosine, norm, argmax, outside }: Comparison, leastCosine: number, leastArgmax: number): string | undefined {
  if (trouble !== undefined) return trouble
  if (maxAbs === null) return 'has NaN or infinity where the fp32 model has numbers'
  if (cosine < leastCosine) return `has cosine ${Number(cosine.toFixed(12))}, less than ${leastCosine}`
  // Vectors of one length at that angle are this far apart.
  const spread = Math.sqrt(2 * (1 - leastCosine))
  if (Math.abs(norm - 1) > spread) return `is ${norm.toPrecision(4)} times as large as in fp32, more than ${spread.toPrecision(2)} off`
  if (argmax < leastArgmax) return `has the same largest element in ${percent(argmax)} of its rows, less than ${percent(leastArgmax)}`
  return outside ? `has ${outside} elements beyond atol and rtol` : undefined
}

function rowOf({ name, maxAbs, largest, cosine, argmax, nonFinite }: Comparison): string {
  const difference = maxAbs === null ? 'not finite' : maxAbs.toExponential(1)
  return `${name}  max abs ${difference} of ${largest.toPrecision(3)}  cosine ${cosine.toFixed(5)}  argmax ${percent(argmax)}${nonFinite > 0 ? `  ${nonFinite} elements not finite in fp32` : ''}`
}

async function blameNodes(request: VerifyRequest, isFine: (pinned: readonly string[]) => Promise<boolean>): Promise<readonly string[]> {
  const { pass, log, name } = request
  if (!pass) return []
  log(`${name}: too far from the fp32 model; looking for the nodes to blame`)
  const { lowerModel } = await import('./lower.ts')
  const { changed = [] } = await inTemporary((folder) => lowerModel(unmeasured(pass), { ...request, log: () => {} }, folder, async () => {}))
  return findBlame(changed, isFine)
}

async function measurePinned<T>(request: VerifyRequest, pinned: readonly string[], use: (file: string) => Promise<T>): Promise<T> {
  const { pass, options } = request
  if (!pass) throw new TypeError(`${request.name}: nothing was lowered`)
  const precision = { ...options.precision, fp32: [...options.precision.fp32, ...pinned] }
  const { lowerModel } = await import('./lower.ts')
  let result: T | undefined
  await inTemporary((folder) =>
    lowerModel(unmeasured(pass), { ...request, options: { ...options, precision }, log: () => {} }, folder, async (file) => {
      result = await use(file)
    }),
  )
  return result!
}

// Graphs that are only tried are not measured for the user.
function unmeasured({ describe, lower }: PrecisionPass): PrecisionPass {
  return { describe, lower }
}

async function measureCandidate(
  request: VerifyRequest,
  samples: FoundSamples | undefined,
  given: Pick<VerifySettings, 'module' | 'candidate' | 'dims'>,
): Promise<VerifyResult> {
  const { model, name, signal, options: { verify } } = request
  const { atol = null, rtol = null, timeout = defaultTimeout } = verify || {}
  const settings: Omit<VerifySettings, 'source'> = { ...given, bindings: model.bindings, atol, rtol }
  const late = AbortSignal.timeout(timeout)
  const either = signal ? AbortSignal.any([signal, late]) : late
  const worker = new URL('./verify-child.js', import.meta.url)
  try {
    if (samples) return (await runWithSamples(worker, samples.source, { ...settings }, either, model.file)) as VerifyResult
    return await inTemporary(async (folder) => {
      const output = join(folder, 'result.json')
      await runChild(worker, { name, model: model.file, output, settings: { ...settings } }, { signal: either })
      return JSON.parse(await readFile(output, 'utf8')) as VerifyResult
    })
  } catch (error) {
    if (!late.aborted || signal?.aborted) throw error
    const hint = `Raise 'verify.timeout', give fewer samples, or set 'verify: false'`
    throw new OnnxEngineError('VERIFICATION_FAILED', name, { expected: `a comparison within ${timeout / 1000} s`, received: 'none', hint, cause: error })
  }
}

async function inTemporary<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'unplugin-onnx-'))
  try {
    return await use(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

import type { BackendName, Precision } from '../../runtime/manifest.ts'
import { type Gain, isFaster, measureGain, speedText } from '../verify/gain.ts'
import { type EngineGroup, variantsOf } from './build-engines.ts'
import { buildEngine, type ModelJob, type VerifiedEngine } from './engine.ts'
import { enginesIn, measurable, rulesOut } from './other-precision.ts'
import type { Variant } from './variant.ts'

/**
 * Precisions that may be faster than fp32, for each backend. On a CPU, fp16 is only stored, and costs a conversion; in
 * pages, nothing measures the visitor's machine. GPUs compute fp16 at twice the rate of fp32 or more (NVIDIA, "Mixed
 * precision training").
 */
const faster: Readonly<Record<BackendName, readonly Precision[]>> = {
  onnxruntime: ['int8'],
  openvino: ['bf16', 'int8'],
  tensorrt: ['fp16'],
  'tensorrt-rtx': ['fp16'],
  wasm: [],
  webgpu: [],
}

/**
 * Builds the engines of a backend in the fastest precision that keeps the limits. Where engines run here, each is
 * measured next to fp32; where they do not, a rule decides, and the log says so. All measurements are cached.
 *
 * @throws OnnxEngineError with any build-time code
 */
export async function buildFastest(group: EngineGroup): Promise<Variant[]> {
  const { engines, job } = group
  const { name, context } = job
  const backend = engines[0]!.backend
  const [fp32Job, fp32Lines] = quiet(job)
  const fp32 = await Promise.all(engines.map((planned) => buildEngine(planned, fp32Job)))
  const base = fp32.find((engine) => engine !== undefined)
  const tries: Try[] = []
  if (base) for (const engine of faster[backend]) tries.push(await tryPrecision(engine, group, base))
  const best = tries
    .filter((each) => each.variants.length > 0)
    .toSorted((a, b) => (a.gain?.speed.ratio ?? 0) - (b.gain?.speed.ratio ?? 0))[0]
  for (const line of best?.lines ?? fp32Lines) context.log(line)
  const others = tries.filter((each) => each !== best).map(({ engine, reason }) => `${engine}: ${reason}`)
  const text = `engine=auto is ${best ? `${best.engine}, ${best.reason}` : 'fp32'}, with ${backend}`
  if (faster[backend].length > 0) context.log(`${name}: ${[text, ...others].join('; ')}`)
  return best ? [...best.variants] : variantsOf(fp32)
}

interface Try {
  readonly engine: Precision
  /** Empty when fp32 is better. */
  readonly variants: readonly Variant[]
  readonly gain?: Gain
  /** Why it is better than fp32, or not. */
  readonly reason: string
  readonly lines: readonly string[]
}

async function tryPrecision(engine: Precision, group: EngineGroup, fp32: VerifiedEngine): Promise<Try> {
  const { job } = group
  const none = { engine, variants: [], lines: [] }
  if (engine === 'int8' && !job.request.options.calibration)
    return { ...none, reason: `it needs samples, by the option 'calibration'` }
  const [own, lines] = quiet(job)
  try {
    const others = await enginesIn(engine, { ...group, job: pinning(own) }, `as ${engine}`)
    const asked = others.map(({ planned, job: other }) => buildEngine({ ...planned, requested: true }, other))
    const built = (await Promise.all(asked)).filter((one) => one !== undefined)
    const [first] = built
    if (!first) return { ...none, reason: 'it has no engine' }
    if (!measurable.has(first.variant.backend))
      return { engine, variants: variantsOf(built), reason: 'by a rule, as no GPU is measured', lines }
    const gain = await measureGain(first.sized, fp32.sized)
    const reason = gain.losses.length > 0 ? gain.losses.join(', ') : speedText(gain)
    if (gain.losses.length > 0 || !isFaster(gain)) return { ...none, reason }
    return { engine, variants: variantsOf(built).map((variant) => ({ ...variant, gain })), gain, reason, lines }
  } catch (error) {
    if (!rulesOut(error, job.context.signal)) throw error
    return { ...none, reason: (error.received ?? error.message).split('\n', 1)[0] ?? '' }
  }
}

/** The same job, whose lines are kept until it is known whether its engines are. */
function quiet(job: ModelJob): readonly [ModelJob, readonly string[]] {
  const lines: string[] = []
  return [{ ...job, context: { ...job.context, log: (line) => void lines.push(line) } }, lines]
}

/** Few nodes in fp32 keep a precision within the limits: that is for the build to find, unless the user says no. */
function pinning(job: ModelJob): ModelJob {
  const { options } = job.request
  const precision = { ...options.precision, autoPin: options.precision.autoPin ?? true }
  return { ...job, request: { ...job.request, options: { ...options, precision } } }
}

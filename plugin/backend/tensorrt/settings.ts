import type { GpuProbe, ProfiledInput } from '../../../native/load-addon.ts'
import { type TensorRtFlavour, tensorrtFamily } from '../../../native/tensorrt-wheels.ts'
import { OnnxEngineError } from '../../../runtime/errors.ts'
import { type TensorRtLibrary, tensorrtNames } from '../../../runtime/tensorrt/library.ts'
import type { Facts } from '../../cache/key.ts'
import type { Model } from '../../onnx/model.ts'
import type { CompileOptions } from '../../options/schema.ts'
import type { Available } from '../contract.ts'
import type { TensorRtSettings } from './compile.ts'
import { fixedInputs, profilesOf } from './profiles.ts'

/** The libraries that the probe found. `driver` is data: keys are tested with the answers of other machines. */
export interface TensorRtDetail extends TensorRtLibrary {
  /** Size of the library's file: the builds for CUDA 12 and CUDA 13 carry one version number. */
  readonly bytes: number
  /** Version of the parser's interface. */
  readonly parserVersion: number
  readonly driver: GpuProbe
  /** Where the engine is built and runs. */
  readonly platform: string
  readonly arch: string
}

/** A model, its options and the library that was found for it. */
export interface TensorRtJob {
  readonly flavour: TensorRtFlavour
  readonly model: Model
  readonly options: CompileOptions
  readonly found: Available<TensorRtDetail>
}

/** Settings that both products share, and the facts of the key that follow from them. */
export interface EngineSettings {
  readonly settings: Omit<TensorRtSettings, 'targets'>
  readonly facts: Facts
}

/**
 * Settings and facts of one engine, without those of its targets.
 *
 * @throws OnnxEngineError BACKEND_UNAVAILABLE, MODEL_UNSUPPORTED, SHAPE_INVALID, OPTION_INVALID
 */
export function engineSettings({ flavour, model, options, found }: TensorRtJob): EngineSettings {
  const { product } = tensorrtNames[flavour]
  const { version, detail } = found
  const family = tensorrtFamily(flavour, version)
  if (!family) {
    throw new OnnxEngineError('BACKEND_UNAVAILABLE', `${flavour}: ${product} ${version} is of no known family`)
  }
  refuseDtypes(model, flavour)
  const own = flavour === 'tensorrt' ? options.tensorrt : options.tensorrtRtx
  const { builderOptimizationLevel = null, maxAuxStreams = null, profilingVerbosity } = own
  const workspace = own.memoryPoolLimits.workspace ?? null
  const flags = builderFlags(flavour, options)
  const profiles = profilesOf(model, options, flavour)
  const settings = {
    addon: family.addon,
    library: detail.file,
    parser: detail.parser,
    plugins: detail.plugins,
    product: `${product} ${version}`,
    computeCapabilities: [],
    fixed: fixedInputs(model, options),
    profiles,
    flags,
    hardwareCompatibility: 'none',
    profilingVerbosity,
    builderOptimizationLevel,
    maxAuxStreams,
    workspace,
    timingCache: '',
  } as const
  const facts: Facts = {
    [flavour]: version,
    addon: family.addon,
    libraryBytes: detail.bytes,
    parser: detail.parserVersion,
    platform: detail.platform,
    arch: detail.arch,
    flags,
    profilingVerbosity,
    ...(builderOptimizationLevel !== null && { builderOptimizationLevel }),
    ...(maxAuxStreams !== null && { maxAuxStreams }),
    ...(workspace !== null && { workspace }),
    profiles: profiles.flatMap((inputs, number) => inputs.map((input) => `${number} ${boundsText(input)}`)),
  }
  return { settings, facts }
}

/** In TensorRT's own words, without the k. */
function builderFlags(flavour: TensorRtFlavour, options: CompileOptions): readonly string[] {
  const { stripPlan, refit } = flavour === 'tensorrt' ? options.tensorrt : options.tensorrtRtx
  return [
    ...(refit ? ['REFIT'] : []),
    ...(stripPlan ? ['STRIP_PLAN'] : []),
    ...(stripPlan && !refit ? ['REFIT_IDENTICAL'] : []),
    ...(flavour === 'tensorrt' && options.tensorrt.versionCompatible ? ['VERSION_COMPATIBLE'] : []),
  ]
}

function boundsText({ input, values, min, opt, max }: ProfiledInput): string {
  const bounds = [min, opt, max].map((dims) => dims.join('x')).join('..')
  return `${input}${values ? ' values' : ''}=${bounds}`
}

// TensorRT would compute others in another type, and the bytes of a binding would no longer match its types.
const dtypes = ['float32', 'float16', 'bfloat16', 'int64', 'int32', 'int8', 'uint8', 'bool']

function refuseDtypes({ file, bindings }: Model, flavour: TensorRtFlavour): void {
  const other = [...bindings.inputs, ...bindings.outputs].find(({ dtype }) => !dtypes.includes(dtype))
  if (other)
    throw new OnnxEngineError('MODEL_UNSUPPORTED', `${file}: binding '${other.name}' with ${flavour}`, {
      expected: `one of ${dtypes.join(', ')}`,
      received: other.dtype,
    })
}

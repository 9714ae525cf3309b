import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Precision } from '../../runtime/manifest.ts'
import type { Lowering } from '../backend/contract.ts'
import { leavingAsItIs } from '../precision/as-it-is.ts'
import { withIo } from '../precision/io.ts'
import type { PrecisionPass, PassRequest } from '../precision/pass.ts'

// Loaded when an import asks for the precision: a build of fp32 engines does not wait for them.
const floatPasses = () => import('../precision/half/pass.ts')

const int8Passes = () => import('../precision/int8/pass.ts')

const int4Passes = () => import('../precision/int4/pass.ts')

const passes: Readonly<Record<Precision, Partial<Record<Lowering, () => Promise<PrecisionPass>>>>> = {
  fp32: {},
  fp16: {
    storage: async () => (await floatPasses()).storagePass('float16'),
    compute: async () => (await floatPasses()).computePass('float16'),
  },
  bf16: {
    storage: async () => (await floatPasses()).storagePass('bfloat16'),
    compute: async () => (await floatPasses()).computePass('bfloat16'),
  },
  int8: { compute: async () => (await int8Passes()).int8Pass },
  'int4-weights': {
    storage: async () => (await int4Passes()).int4WeightsPass,
    compute: async () => (await int4Passes()).int4WeightsPass,
  },
  'int8-weights': {
    storage: async () => (await int8Passes()).int8WeightsPass,
    compute: async () => (await int8Passes()).int8WeightsPass,
  },
}

/**
 * The pass that makes a graph of a precision; undefined when the graph stays as it is. Throws PRECISION_UNSUPPORTED
 * when there is no such pass.
 */
export async function precisionPass({
  model,
  options: {
    engine,
    precision: { io },
  },
  backend,
  lowering,
}: Pick<PassRequest, 'model' | 'options' | 'backend' | 'lowering'>): Promise<PrecisionPass | undefined> {
  if (lowering === 'none') return withIo(undefined, io)
  const load = passes[engine][lowering]
  if (load) return withIo(model.rounds === undefined ? await load() : leavingAsItIs(await load(), model.rounds), io)
  const possible = Object.entries(passes).flatMap(([name, ways]) => (name === 'fp32' || ways[lowering] ? [name] : []))
  throw new OnnxEngineError('PRECISION_UNSUPPORTED', `${model.file}: engine=${engine}`, {
    expected: `${possible.join(', ')} for the backend ${backend}`,
    received: engine,
    hint: `Import the model with ?engine=${possible.at(-1) ?? 'fp32'}`,
  })
}

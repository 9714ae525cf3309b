import { elementCount, type StoredDType } from '../../runtime/dtype.ts'
import { type Initializer, type ModelWithInitializers } from '../onnx/model.ts'
import { isMainDomain, type Message, safeInteger } from '../onnx/proto.ts'
import type { Skeleton } from '../onnx/skeleton.ts'
import { byteLength, tensorType } from '../onnx/tensor.ts'
import type { ModelInspection } from './contract.ts'

/** What the head of a model file says. */
export function headFacts({
  irVersion,
  opsetImport,
  producerName,
  producerVersion,
  metadataProps,
  functions,
}: Skeleton): Pick<ModelInspection, 'irVersion' | 'opsets' | 'producer' | 'metadata' | 'functions'> {
  const opsets = opsetImport.map(({ domain, version }) => [
    isMainDomain(domain) ? '' : domain,
    safeInteger(version) ?? 0,
  ])
  return {
    irVersion: safeInteger(irVersion) ?? 0,
    opsets: Object.fromEntries(opsets) as Record<string, number>,
    producer: [producerName, producerVersion].filter((text) => text !== '').join(' '),
    metadata: metadataProps.map(({ key, value }) => ({ key, value })),
    functions: functions.map(({ domain, name }) => (isMainDomain(domain) ? name : `${domain}.${name}`)),
  }
}

/** Initializers, external files, and how much both are. `sound` is the model if nothing in it is broken. */
export function weightFacts(
  { graph }: Skeleton,
  sound: ModelWithInitializers | undefined,
): Pick<ModelInspection, 'initializers' | 'external' | 'weights'> {
  const initializers = sound?.initializers ?? graph.initializer.flatMap(typeOf)
  // Some exporters write weights as nodes.
  const constants = graph.node.flatMap(({ opType, attribute }) =>
    opType === 'Constant' ? attribute.flatMap(({ t }) => (t ? typeOf(t) : [])) : [],
  )
  const files = new Map<string, number>()
  for (const { file, length } of sound?.external ?? []) files.set(file, (files.get(file) ?? 0) + length)
  const byDType = new Map<StoredDType, number>()
  let parameters = 0
  for (const { dtype, dims } of [...initializers, ...constants]) {
    parameters += elementCount(dims)
    byDType.set(dtype, (byDType.get(dtype) ?? 0) + (byteLength({ dtype, dims }) ?? 0))
  }
  const dtypes = [...byDType].map(([dtype, bytes]) => ({ dtype, bytes })).sort((a, b) => b.bytes - a.bytes)
  return {
    initializers,
    external: [...files].map(([file, length]) => ({ file, length })),
    weights: {
      tensors: initializers.length + constants.length,
      parameters,
      bytes: dtypes.reduce((sum, { bytes }) => sum + bytes, 0),
      byDType: dtypes,
    },
  }
}

function typeOf(tensor: Message<'TensorProto'>): readonly Initializer[] {
  const type = tensorType(tensor)
  return type ? [{ name: tensor.name, ...type }] : []
}

import type { DType } from '../../runtime/dtype.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Binding, Bindings } from '../../runtime/manifest.ts'

/** Backends of Triton that run what this package writes. */
export const tritonBackends = ['onnxruntime', 'tensorrt'] as const
export type TritonBackend = (typeof tritonBackends)[number]

/** What a `config.pbtxt` says. */
export interface TritonModel {
  readonly name: string
  readonly backend: TritonBackend
  readonly bindings: Bindings
  readonly maxBatchSize: number
  /** Instances of the model, on each GPU or on the CPU. */
  readonly instances: number
  readonly gpu: boolean
  /** Threads of one inference of ONNX Runtime; its own default without it. */
  readonly threads?: number | undefined
}

// Source: triton-inference-server/common, protobuf/model_config.proto, DataType.
const dataTypes: { readonly [D in DType]: string } = {
  bool: 'TYPE_BOOL',
  uint8: 'TYPE_UINT8',
  uint16: 'TYPE_UINT16',
  uint32: 'TYPE_UINT32',
  uint64: 'TYPE_UINT64',
  int8: 'TYPE_INT8',
  int16: 'TYPE_INT16',
  int32: 'TYPE_INT32',
  int64: 'TYPE_INT64',
  float16: 'TYPE_FP16',
  bfloat16: 'TYPE_BF16',
  float32: 'TYPE_FP32',
  float64: 'TYPE_FP64',
  string: 'TYPE_STRING',
}

/** The text of Triton's `config.pbtxt` for a model. Throws MODEL_UNSUPPORTED for tensors of unknown rank. */
export function tritonConfig(model: TritonModel): string {
  const { name, backend, bindings, maxBatchSize, instances, gpu, threads } = model
  const batched = maxBatchSize > 0
  const tensors = (kind: 'input' | 'output', list: readonly Binding[]) =>
    list.map((binding) => `${kind} [\n${indented(tensorText(name, binding, batched))}\n]`)
  const blocks = [
    `name: ${quoted(name)}`,
    `backend: ${quoted(backend)}`,
    `max_batch_size: ${maxBatchSize}`,
    ...tensors('input', bindings.inputs),
    ...tensors('output', bindings.outputs),
    `instance_group [\n  {\n    count: ${instances}\n    kind: ${gpu ? 'KIND_GPU' : 'KIND_CPU'}\n  }\n]`,
    // A request waits this long, in microseconds, for others to share a batch with.
    ...(batched ? ['dynamic_batching {\n  max_queue_delay_microseconds: 100\n}'] : []),
    'version_policy { latest { num_versions: 1 } }',
    ...warmUp(model),
    ...(threads === undefined ? [] : [parameter('intra_op_thread_count', String(threads))]),
  ]
  return `${blocks.join('\n')}\n`
}

/** Dims as Triton wants them: without the batch, -1 for open ones. Triton has no scalars: those are reshaped. */
function tensorText(model: string, { name, dtype, dims }: Binding, batched: boolean): string {
  if (dims === null) {
    throw new OnnxEngineError('MODEL_UNSUPPORTED', `${model}: "${name}"`, {
      expected: 'a known rank, which the config of Triton needs',
      received: 'unknown dims',
      hint: 'Give the dims with the option shapes.',
    })
  }
  const shape = (batched ? dims.slice(1) : dims).map((dim) => (typeof dim === 'number' ? dim : -1))
  const lines = [
    `name: ${quoted(name)}`,
    `data_type: ${dataTypes[dtype]}`,
    `dims: [ ${(shape.length === 0 ? [1] : shape).join(', ')} ]`,
  ]
  if (shape.length === 0) lines.push('reshape { shape: [ ] }')
  return `{\n${indented(lines.join('\n'))}\n}`
}

/** One run with zeros before the model is ready; none when a dim is open, since any size may be too large. */
function warmUp({ bindings, maxBatchSize }: TritonModel): readonly string[] {
  const batched = maxBatchSize > 0
  const shapes = bindings.inputs.map(({ dims }) => (batched ? (dims ?? []).slice(1) : (dims ?? [])))
  if (shapes.some((shape) => shape.some((dim) => typeof dim !== 'number'))) return []
  const inputs = bindings.inputs.map(({ name, dtype }, index) => {
    const shape = shapes[index] ?? []
    const dims = (shape.length === 0 ? [1] : shape).join(', ')
    const value = `value { data_type: ${dataTypes[dtype]} dims: [ ${dims} ] zero_data: true }`
    return `inputs {\n  key: ${quoted(name)}\n  ${value}\n}`
  })
  const lines = ['name: "zeros"', ...(batched ? ['batch_size: 1'] : []), ...inputs]
  return [`model_warmup [\n  {\n${indented(indented(lines.join('\n')))}\n  }\n]`]
}

function parameter(key: string, value: string): string {
  return `parameters { key: ${quoted(key)} value: { string_value: ${quoted(value)} } }`
}

// Text format takes C escapes; JSON writes the same ones for quotes, backslashes and line ends.
function quoted(text: string): string {
  return JSON.stringify(text)
}

function indented(text: string): string {
  return text.replace(/^/gm, '  ')
}

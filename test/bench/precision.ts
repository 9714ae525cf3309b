import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ort from 'onnxruntime-node'
import { compile, type Options } from 'unplugin-onnx'
import { timed } from '../../plugin/bench/measure-calls.ts'
import { inTurn } from '../../plugin/bench/statistics.ts'
import { onnxModel, type ModelSpec, type NodeSpec, type TensorSpec } from '../support/models.ts'
import { cosine, normal, npy, uniform } from '../support/samples.ts'
import { workFolder } from './models.ts'
import type { Row } from './row.ts'

/** int8 on the CPU: how much faster it is than fp32, and how close to it. */
export async function precisionBench(): Promise<readonly Row[]> {
  const dims = [1, 3, 224, 224]
  const file = join(workFolder, 'dense.onnx')
  writeFileSync(file, onnxModel(denseNet))
  const samples = join(workFolder, 'dense-samples')
  mkdirSync(samples)
  const length = dims.reduce((product, dim) => product * dim, 1)
  for (let index = 0; index < 8; index++)
    writeFileSync(join(samples, `${index}.npy`), npy(dims, normal(length, 1000 + index)))
  const [fp32, int8] = [
    await open(file, { engine: 'fp32' }),
    await open(file, {
      engine: 'int8',
      calibration: join(samples, '*.npy'),
      precision: { whenSlower: 'warn' },
    }),
  ]
  const x = new ort.Tensor('float32', normal(length, 5000), dims)
  const times = await inTurn(
    40,
    () => timed(() => int8.run({ x })),
    () => timed(() => fp32.run({ x })),
  )
  const close = cosine(
    (await fp32.run({ x }))['y']!.data as Float32Array,
    (await int8.run({ x }))['y']!.data as Float32Array,
  )
  const name = 'ten dense 3x3 convolutions, 224x224'
  return [
    {
      name: `int8: time per inference, ${name}`,
      beside: 'its fp32 engine',
      ...times,
      unit: 'ms',
      aim: { of: 'ratio', atMost: 0.303 },
    },
    {
      name: `int8: 1 - cosine of the output, ${name}`,
      beside: 'the allowed distance',
      ours: 1 - close,
      peer: 2e-4,
      unit: '',
      aim: { of: 'ratio', atMost: 1 },
    },
  ]
}

// Input channels, output channels and stride of each convolution. Weights and biases are initialized as PyTorch does.
const layers = [
  [3, 64, 2],
  [64, 64, 1],
  [64, 128, 2],
  [128, 128, 1],
  [128, 256, 2],
  [256, 256, 1],
  [256, 256, 1],
  [256, 512, 2],
  [512, 512, 1],
  [512, 512, 1],
] as const

const denseNet: ModelSpec = {
  inputs: { x: 'float32[1,3,224,224]' },
  outputs: { y: 'float32[1,512,14,14]' },
  nodes: layers.flatMap(([, , stride], index): NodeSpec[] => {
    const last = index === layers.length - 1
    const attributes = { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [stride, stride] }
    const convolution = {
      op: 'Conv',
      inputs: [index === 0 ? 'x' : `r${index - 1}`, `w${index}`, `b${index}`],
      outputs: [last ? 'y' : `c${index}`],
      attributes,
    }
    return last ? [convolution] : [convolution, { op: 'Relu', inputs: [`c${index}`], outputs: [`r${index}`] }]
  }),
  initializers: Object.fromEntries(
    layers.flatMap(([inputs, outputs], index): [string, TensorSpec][] => {
      const bound = 1 / Math.sqrt(inputs * 9)
      return [
        [`w${index}`, tensor([outputs, inputs, 3, 3], uniform(outputs * inputs * 9, index + 1, bound))],
        [`b${index}`, tensor([outputs], uniform(outputs, index + 100, bound))],
      ]
    }),
  ),
}

function tensor(dims: readonly number[], values: Float32Array): TensorSpec {
  return { dtype: 'float32', dims, data: new Uint8Array(values.buffer) }
}

async function open(file: string, options: Options): Promise<ort.InferenceSession> {
  const {
    variants: [variant],
  } = await compile(file, { ...options, backends: ['onnxruntime'], cache: { dir: join(workFolder, 'cache') } })
  const { artifact, extension } = variant!
  return ort.InferenceSession.create(readFileSync(artifact.file), {
    extra: { session: { load_model_format: extension === '.ort' ? 'ORT' : 'ONNX' } },
  })
}

import type { Profile } from '../options/types.ts'
import type { Batching } from './batching.ts'
import type { TritonModel } from './triton-config.ts'

export interface TritonReadme extends TritonModel {
  readonly version: number
  readonly batching: Batching
  readonly profiles: readonly Profile[]
}

/** How to serve a model that was exported for Triton: the text next to its config. */
export function tritonReadme(model: TritonReadme): string {
  const { name, backend, gpu, batching } = model
  const gpus = gpu ? '--gpus all ' : ''
  return [
    `# ${name}`,
    '',
    'Written by `unplugin-onnx export --triton`. Serve the folder above this one:',
    '',
    ...(backend === 'tensorrt' ? buildSection(model) : []),
    '```sh',
    `docker run --rm ${gpus}-p 8000:8000 -p 8001:8001 -v "$PWD":/models \\`,
    '  nvcr.io/nvidia/tritonserver:YY.MM-py3 tritonserver --model-repository=/models',
    '```',
    '',
    batching.reason,
    '',
    'Call it with the types of the import:',
    '',
    '```ts',
    `import { connectServer } from 'unplugin-onnx/remote'`,
    `import type model from './${name}.onnx'`,
    '',
    `const remote = await connectServer<typeof model>({ url: 'grpc://localhost:8001', model: '${name}' })`,
    '```',
    '',
  ].join('\n')
}

// A plan runs only on the TensorRT and the kind of GPU that built it.
function buildSection({ name, version, profiles }: TritonReadme): readonly string[] {
  const [profile] = profiles
  const shapes = profile
    ? (['min', 'opt', 'max'] as const).map((bound) => `--${bound}Shapes=${shapesText(profile[bound])}`)
    : []
  return [
    'First build the plan in the container that will serve it, on a machine with the same GPU:',
    '',
    '```sh',
    'docker run --rm --gpus all -v "$PWD":/models nvcr.io/nvidia/tensorrt:YY.MM-py3 \\',
    `  trtexec --onnx=/models/${name}/source/model.onnx --saveEngine=/models/${name}/${version}/model.plan \\`,
    `  ${[...shapes, '--skipInference'].join(' ')}`,
    '```',
    '',
    'Then serve it with the Triton of the same month:',
    '',
  ]
}

function shapesText(shapes: Readonly<Record<string, readonly number[]>>): string {
  return Object.entries(shapes)
    .map(([name, dims]) => `${name}:${dims.join('x')}`)
    .join(',')
}

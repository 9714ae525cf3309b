import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { ProfiledInput } from '../../native/load-addon.ts'
import { loadAddon } from '../../native/load-addon.ts'
import { loadGraph } from '../../plugin/onnx/graph.ts'
import { upgradeOpset } from '../../plugin/onnx/upgrade.ts'
import { writeGraph } from '../../plugin/onnx/write.ts'
import { lowerGraph } from '../../plugin/precision/half/lower-graph.ts'
import type { Precision } from '../../runtime/manifest.ts'
import { loadCorpus } from '../corpus/index.ts'
import { tempFolder } from '../support/helpers.ts'
import { onnxModel, scalar } from '../support/models.ts'
import { build, ocrModel } from '../support/openvino-models.ts'
import { lightNets, orSkip } from '../support/python.ts'
import { missingTensorRtRtx, rtxFolder } from '../support/tensorrt-library.ts'

const missing = missingTensorRtRtx()
const folder = tempFolder()

/**
 * What is asked of each net: the fastest build, for every target. TensorRT-RTX has no bf16 and no int8 on Turing
 * (sm75).
 */
const engines: readonly (readonly [engine: Precision, targets: readonly string[], leastLowered: number])[] = [
  ['fp16', ['sm75', 'sm86', 'sm89', 'sm120'], 50],
  ['bf16', ['sm86', 'sm89', 'sm120'], 50],
  // Weights of products, which not all of these nets have.
  ['int8', ['sm86', 'sm89', 'sm120'], 0],
]

describe.skipIf(missing)('network of lower precision', () => {
  test.each<[title: string, file: () => string | Promise<string>, dims: readonly number[] | undefined]>([
    ['the OCR classifier', () => ocrModel('cls_infer.onnx'), [1, 3, 48, 192]],
    ['the OCR detector', () => ocrModel('det_infer.onnx'), [1, 3, 64, 64]],
    ['the OCR recogniser', () => ocrModel('rec_infer.onnx'), [1, 3, 48, 64]],
    ['squeezenet', () => lightNet('squeezenet'), undefined],
    ['shufflenet', () => lightNet('shufflenet'), undefined],
  ])(
    '%s is built by TensorRT-RTX for every target',
    async (title, find, dims) => {
      const file = await orSkip(`${title} as a TensorRT-RTX engine`, async () => find())
      if (file === undefined) return
      for (const [engine, targets, leastLowered] of engines) {
        const { compiled } = await build(folder, file, {
          backends: ['tensorrt-rtx'],
          engine,
          targets,
          verify: false,
          tensorrtRtx: { builderOptimizationLevel: 0 },
          ...(dims && { shapes: { x: dims } }),
        })
        expect(
          compiled.variants.map(({ label, requires }) => [label, 'targets' in requires && requires.targets]),
        ).toEqual([['', ['sm86', 'sm89', 'sm120']], ...(targets.includes('sm75') ? [['turing', ['sm75']]] : [])])
        expect(compiled.variants[0]?.report?.lowering?.lowered).toBeGreaterThanOrEqual(leastLowered)
      }
    },
    120_000,
  )

  test('nodes that autoPin finds by emulation stay in fp32 and are logged', async () => {
    const file = join(folder, 'overflow.onnx')
    writeFileSync(
      file,
      onnxModel({
        inputs: { x: 'float32[1,64]' },
        outputs: { y: 'float32[1,64]' },
        nodes: [
          { op: 'Mul', name: 'first', inputs: ['x', 'large'], outputs: ['a'] },
          { op: 'Mul', name: 'second', inputs: ['a', 'large'], outputs: ['b'] },
          { op: 'Mul', name: 'third', inputs: ['b', 'small'], outputs: ['y'] },
        ],
        initializers: { large: scalar(300), small: scalar(2 ** -14) },
      }),
    )
    const { compiled, lines } = await build(folder, file, {
      backends: ['tensorrt-rtx'],
      engine: 'fp16',
      precision: { autoPin: true },
    })
    expect(lines).toContain('overflow: pinned to fp32: second, third')
    expect(lines.at(-1)).toMatch(
      /^overflow {2}fp16 {2}tensorrt-rtx: 33% of 3 nodes lowered, 2 kept, size \d\.\d\dx, max abs \d\.\de-\d, cosine 1\.00000, argmax [\d.]+% \(random inputs, emulated\)$/,
    )
    expect(compiled.variants[0]?.report).toMatchObject({
      lowering: {
        kept: [
          { name: 'second', reason: 'pinned to fp32' },
          { name: 'third', reason: 'pinned to fp32' },
        ],
      },
      verification: { emulated: true, failures: [] },
    })
  })
})

/**
 * Operators of which TensorRT-RTX 1.7 builds no case in fp32 either, or only some; it prints a page for each refusal.
 */
const unbuilt = /^test_(?:attention|layer_normalization|lrn|resize_.*antialias|tensorscatter)/

describe.skipIf(missing).each(['float16', 'bfloat16'] as const)('operator in %s', (dtype) => {
  test('TensorRT-RTX builds each operator that it builds in fp32', async () => {
    const corpus = await orSkip("operators of the ONNX library's test models", loadCorpus)
    if (!corpus) return
    const out = join(folder, `${dtype}.onnx`)
    const seen = new Set<string>()
    const refused: Record<string, string> = {}
    for (const record of corpus.records) {
      // One case of each operator, and of each set of inputs that it may have.
      const floats = record.inputs.some((binding) => binding.kind === 'tensor_type' && binding.code === 1)
      if (!record.sets || !floats || record.name.includes('expanded') || unbuilt.test(record.name)) continue
      const file = corpus.file(record)
      const graph = await loadGraph(file)
      const [node, ...others] = graph.proto.graph.node
      const kind = `${node?.opType} ${node?.input.map((name) => name !== '').join()} ${graph.proto.graph.output.length}`
      if (!node || others.length > 0 || seen.has(kind)) continue
      if (dtype === 'bfloat16' && !upgraded(graph)) continue
      if ((await lowerGraph(graph, { dtype, maxValue: 4096, maxDepth: Infinity, pinned: new Set() })).lowered === 0)
        continue
      await writeGraph(graph, out)
      const trouble = await buildHere(out)
      if (trouble === undefined) seen.add(kind)
      else if ((await buildHere(file)) === undefined) refused[record.name] = trouble
    }
    expect(refused).toEqual({})
    expect(seen.size).toBeGreaterThan(75)
  }, 120_000)

  test.each([
    ['fixed', 2],
    ['open', 'rows'],
  ])('TensorRT-RTX builds an operator that fills a tensor of %s dims', async (_, rows) => {
    const file = join(folder, `filled-${dtype}.onnx`)
    writeFileSync(
      file,
      onnxModel({
        opset: 22,
        inputs: { x: `float32[${rows},64]` },
        outputs: { y: `float32[${rows},64]` },
        nodes: [
          { op: 'Tanh', inputs: ['x'], outputs: ['a'] },
          { op: 'Shape', inputs: ['a'], outputs: ['shape'] },
          {
            op: 'ConstantOfShape',
            inputs: ['shape'],
            outputs: ['half'],
            attributes: { value: { tensor: { dtype: 'float32', dims: [1], data: [0.5] } } },
          },
          { op: 'Mul', inputs: ['a', 'half'], outputs: ['y'] },
        ],
      }),
    )
    const graph = await loadGraph(file)
    expect(await lowerGraph(graph, { dtype, maxValue: 4096, maxDepth: Infinity, pinned: new Set() })).toMatchObject({
      lowered: 3,
      kept: [],
    })
    // One cast of the input and one of the output.
    expect(graph.proto.graph.node.map(({ opType }) => opType).toSorted()).toEqual([
      'Cast',
      'Cast',
      'ConstantOfShape',
      'Mul',
      'Shape',
      'Tanh',
    ])
    await writeGraph(graph, file)
    expect(
      await buildHere(
        file,
        rows === 2 ? [] : [[{ input: 'x', values: false, min: [1, 64], opt: [2, 64], max: [4, 64] }]],
      ),
    ).toBeUndefined()
  })
})

async function lightNet(name: string): Promise<string> {
  return join(await lightNets(), `light_${name}.onnx`)
}

function upgraded(graph: Parameters<typeof upgradeOpset>[0]): boolean {
  try {
    upgradeOpset(graph, 22)
    return true
  } catch {
    return false
  }
}

/** Builds an engine in this process, and gives what the builder says when it cannot. */
async function buildHere(
  model: string,
  profiles: readonly (readonly ProfiledInput[])[] = [],
): Promise<string | undefined> {
  const loaded = loadAddon('tensorrt_rtx_1_7')
  if ('reason' in loaded) throw new Error(loaded.reason)
  const [library, parser] = ['libtensorrt_rtx.so.1', 'libtensorrt_onnxparser_rtx.so.1'].map((name) =>
    join(rtxFolder(), 'lib', name),
  )
  const settings = {
    parser: String(parser),
    plugins: '',
    model,
    output: `${model}.engine`,
    computeCapabilities: [86, 89, 120],
    fixed: [],
    profiles,
    flags: [],
    hardwareCompatibility: 'none',
    profilingVerbosity: 'none',
    builderOptimizationLevel: 0,
    maxAuxStreams: null,
    workspace: null,
    timingCache: '',
    verbose: false,
  } as const
  return loaded.addon
    .build(String(library), settings, () => {})
    .then(
      () => undefined,
      (error: Error) => error.message.slice(0, 500),
    )
}

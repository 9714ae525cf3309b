import { join } from 'node:path'
import { dtypes } from '../../../runtime/dtype.ts'
import { temporaryFolder } from '../../files/temporary-folder.ts'
import { remember } from '../../measure/remember.ts'
import { newAttribute } from '../../onnx/attribute.ts'
import { declareValue, nameMaker, newNode, sortNodes } from '../../onnx/edit.ts'
import { indexScope, loadGraph } from '../../onnx/graph.ts'
import { writeGraph } from '../../onnx/write.ts'
import { runWithSamples } from '../../samples/run.ts'
import type { PassRequest } from '../pass.ts'
import type { ShadowedResult, ShiftSettings } from './bias-shifts-child.ts'
import { addConstant, type GraphEditor } from './constants.ts'
import { type BiasShifts, takesShift } from './correct-biases.ts'
import { shuffled } from './few-samples.ts'
import { storeOnce } from './insert.ts'
import { placeQuantization, type Weighted } from './place.ts'
import type { WayPlan } from './plan.ts'
import { equalization, prepareGraph } from './prepare.ts'
import { addQuantization, addScale, scaleOf } from './scales.ts'

/** Raised when the same samples give other shifts. */
const version = 1

/**
 * The mean error in each channel that 8 bits of its weights and of what it reads make in the result of each node, over
 * a few of the samples: fp32 less int8. Each node reads what the fp32 model computes, so an error counts only where it
 * is made. Cached by model, samples and way; pinned nodes have shifts, too, so that a pin does not measure again.
 *
 * @param file the model's graph before the pass
 * @throws OnnxEngineError SAMPLES_INVALID, BACKEND_UNAVAILABLE, COMPILE_FAILED, COMPILE_ABORTED
 */
export async function biasShifts(request: PassRequest, file: string, way: WayPlan): Promise<BiasShifts> {
  const { samples, method, equalize, levels } = way
  const { backend, options, signal } = request
  const facts = {
    biases: version,
    samples: samples.digest,
    placement: backend,
    levels,
    method,
    percentile: options.calibration?.percentile ?? 100,
    equalization: equalize ? equalization : 0,
  }
  const worker = new URL('./bias-shifts-child.js', import.meta.url)
  const shifts = await remember(request, { name: 'bias correction', facts }, async (module) => {
    await using folder = await temporaryFolder()
    const shadowed = join(folder.path, 'shadowed.onnx')
    const results = await writeShadows(request, { file, to: shadowed }, way)
    if (results.length === 0) return []
    const settings = { module, results } satisfies Omit<ShiftSettings, 'source'>
    const job = { settings, signal, model: shadowed }
    return (await runWithSamples(worker, shuffled(samples.source), job)) as [string, number[]][]
  })
  return new Map(shifts.map(([name, numbers]) => [name, Float32Array.from(numbers)]))
}

// Beside each node in fp32 goes its shadow in 8 bits, which reads the same values.
async function writeShadows(
  request: PassRequest,
  { file, to }: { readonly file: string; readonly to: string },
  way: WayPlan,
): Promise<readonly ShadowedResult[]> {
  const model = await loadGraph(file)
  const { scope, observed, rangeIn } = await prepareGraph(model, request, way)
  const { activations } = way.placement
  const places = placeQuantization(scope, way.placement, observed)
  const range = rangeIn(places)
  const index = indexScope(scope)
  const outputs = new Set(scope.graph.output.map(({ name }) => name))
  const editor = { model, scope, newName: nameMaker(model) }
  const read = remembered((value) => {
    const scale = scaleOf(range(places.values.get(value) ?? value), activations)
    const [quantized, result] = [editor.newName(`${value}_quantized`), editor.newName(`${value}_dequantized`)]
    addQuantization(editor, addScale(editor, value, scale, activations), { from: value, quantized, to: result })
    return result
  })
  const store = storeOnce(editor, way.levels)
  const results: ShadowedResult[] = []
  for (const one of places.weighted.filter((weighted) => takesShift(weighted, index, outputs))) {
    const { node } = one
    const [value = ''] = node.output
    const shadow = editor.newName(`${value}_shadow`)
    const inputs = [read(node.input[0] ?? ''), await store(one), ...node.input.slice(2)]
    scope.graph.node.push(newNode(node.opType, inputs, [shadow], { name: shadow, attribute: node.attribute }))
    results.push([value, addMeanError(editor, { value, shadow }, one)])
  }
  scope.graph.output = results.map(([, error]) => declareValue(error, 'float32'))
  sortNodes(scope, file)
  await writeGraph({ ...model, external: false }, to)
  return results
}

// The sum of the differences in each channel over the number of all: the mean, but for the number of channels.
function addMeanError(
  editor: GraphEditor,
  { value, shadow }: { readonly value: string; readonly shadow: string },
  { node, dims, axis }: Weighted,
): string {
  const { scope, newName } = editor
  const add = (opType: string, input: string[], attribute = [] as ReturnType<typeof newAttribute>[]) => {
    const result = newName(`${value}_error`)
    scope.graph.node.push(newNode(opType, input, [result], { name: result, attribute }))
    return result
  }
  const whole = (numbers: readonly number[]) =>
    addConstant(editor, 'axes', { dtype: 'int64', dims: [numbers.length] }, BigInt64Array.from(numbers, BigInt))
  const difference = add('Sub', [value, shadow])
  const isConvolution = node.opType === 'Conv' || node.opType === 'ConvTranspose'
  // A product has its channels in the last axis, whatever its rank.
  const [flat, axes] = isConvolution
    ? [difference, dims.map((_, at) => at).filter((at) => at !== 1)]
    : [add('Reshape', [difference, whole([-1, dims[axis]!])]), [0]]
  const sum = add('ReduceSum', [flat, whole(axes)], [newAttribute('keepdims', { int: 0 })])
  const size = add('Cast', [add('Size', [difference])], [newAttribute('to', { int: dtypes.float32.code })])
  return add('Div', [sum, size])
}

function remembered(make: (name: string) => string): (name: string) => string {
  const made = new Map<string, string>()
  return (name) => {
    const result = made.get(name) ?? make(name)
    made.set(name, result)
    return result
  }
}

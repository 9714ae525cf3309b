import { dtypes } from '../../runtime/dtype.ts'
import {
  floatAttribute,
  floatsAttribute,
  intAttribute,
  intsAttribute,
  newAttribute,
  removeAttribute,
  setAttribute,
  stringAttribute,
} from './attribute.ts'
import type { Elements } from './content.ts'
import { newNode } from './edit.ts'
import type { Node } from './proto.ts'
import type { TensorType } from './tensor.ts'
import type { ValueType } from './types.ts'

/** The newest opset that the rules cover, that of ONNX 1.23. */
export const newestOpset = 28

/** What a rule can use. */
export interface UpgradeKit {
  readonly makeName: (base: string) => string
  /** Adds a constant to the graph and returns its name. */
  readonly addConstant: (base: string, type: TensorType, data: Elements) => string
  readonly type: (value: string) => ValueType | undefined
  /** Undefined when the rank is unknown. */
  readonly rank: (value: string) => number | undefined
  /** The elements of a small float32 constant; undefined for any other value. */
  readonly floats: (value: string) => readonly number[] | undefined
  /** Whether a node or an output reads a value. */
  readonly isRead: (value: string) => boolean
  /** Stops the upgrade with an error that names the node. */
  readonly refuse: (reason: string) => never
}

/** Rewrites a node for the opset in which its operator changed: in place, or as the nodes that it returns. */
export type Upgrade = (node: Node, kit: UpgradeKit) => Node[] | void

/**
 * By operator, the opsets for which a node must be rewritten to keep its meaning. Other changes only made operators
 * accept more. Source: the operator schemas of ONNX 1.23; a test finds in them every attribute that was removed and
 * every default that changed.
 */
export const upgrades: Readonly<Record<string, Readonly<Record<number, Upgrade>>>> = {
  BatchNormalization: { 9: dropSpatial, 14: dropTrainingOutputs },
  Clip: { 11: (node, kit) => [...floatInput(node, kit, 'min', 1), ...floatInput(node, kit, 'max', 2), node] },
  DFT: { 20: moveAxis },
  Dropout: { 10: dropMask, 12: (node, kit) => [...floatInput(node, kit, 'ratio', 1), node] },
  GridSample: { 20: renameMode },
  GroupNormalization: { 21: (_, { refuse }) => refuse('a scale for each group') },
  Hardmax: { 13: flatten },
  LogSoftmax: { 13: flatten },
  Pad: { 11: (node, kit) => [...moveInts(node, kit, 'pads', 1), ...floatInput(node, kit, 'value', 2), node] },
  ReduceL1: { 18: moveAxes },
  ReduceL2: { 18: moveAxes },
  ReduceLogSum: { 18: moveAxes },
  ReduceLogSumExp: { 18: moveAxes },
  ReduceMax: { 18: moveAxes },
  ReduceMean: { 18: moveAxes },
  ReduceMin: { 18: moveAxes },
  ReduceProd: { 18: moveAxes },
  ReduceSum: { 13: moveAxes },
  ReduceSumSquare: { 18: moveAxes },
  Resize: { 11: resizeByScales, 13: refuseNearestHalf },
  RoiAlign: {
    16: (node) => setAttribute(node, newAttribute('coordinate_transformation_mode', { string: 'output_half_pixel' })),
  },
  Scan: { 9: (_, { refuse }) => refuse('a Scan over batches') },
  Scatter: { 11: (node) => void (node.opType = 'ScatterElements') },
  Slice: {
    10: (node, kit) => [
      ...['starts', 'ends', 'axes'].flatMap((name, index) => moveInts(node, kit, name, index + 1)),
      node,
    ],
  },
  Softmax: { 13: flatten },
  Split: { 13: (node, kit) => [...moveInts(node, kit, 'split', 1), node], 18: countOutputs },
  Squeeze: { 13: moveAxes },
  TopK: { 10: moveCount },
  Unsqueeze: { 13: moveAxes },
  Upsample: { 9: moveScales, 10: upsampleByScales },
}

function setInput(node: Node, position: number, value: string): void {
  while (node.input.length < position) node.input.push('')
  node.input[position] = value
}

// Returns no nodes, so that it can be in a list with functions that do.
function moveInts(node: Node, { addConstant }: UpgradeKit, name: string, position: number): [] {
  const values = intsAttribute(node, name)
  removeAttribute(node, name)
  if (values)
    setInput(
      node,
      position,
      addConstant(name, { dtype: 'int64', dims: [values.length] }, BigInt64Array.from(values, BigInt)),
    )
  return []
}

function moveAxes(node: Node, kit: UpgradeKit): void {
  moveInts(node, kit, 'axes', 1)
}

// A float attribute becomes a scalar of the dtype of the first input, which may take a Cast.
function floatInput(
  node: Node,
  { addConstant, makeName, type, refuse }: UpgradeKit,
  name: string,
  position: number,
): Node[] {
  const value = floatAttribute(node, name)
  removeAttribute(node, name)
  if (value === undefined) return []
  const constant = addConstant(name, { dtype: 'float32', dims: [] }, Float32Array.of(value))
  const dtype = type(node.input[0] ?? '')
  setInput(node, position, constant)
  // The ratio of Dropout may be of any dtype.
  if (dtype === 'float32' || node.opType === 'Dropout') return []
  if (typeof dtype !== 'string') return refuse(`an input of unknown dtype, which ${name} must share`)
  const cast = makeName(`${constant}_cast`)
  setInput(node, position, cast)
  return [
    newNode('Cast', [constant], [cast], { name: cast, attribute: [newAttribute('to', { int: dtypes[dtype].code })] }),
  ]
}

function moveCount(node: Node, { addConstant }: UpgradeKit): void {
  const count = intAttribute(node, 'k') ?? 0
  removeAttribute(node, 'k')
  setInput(node, 1, addConstant('k', { dtype: 'int64', dims: [1] }, BigInt64Array.of(BigInt(count))))
}

function moveAxis(node: Node, { addConstant }: UpgradeKit): void {
  const axis = intAttribute(node, 'axis') ?? 1
  removeAttribute(node, 'axis')
  setInput(node, 2, addConstant('axis', { dtype: 'int64', dims: [] }, BigInt64Array.of(BigInt(axis))))
}

function moveScales(node: Node, { addConstant }: UpgradeKit): void {
  const scales = floatsAttribute(node, 'scales') ?? []
  removeAttribute(node, 'scales')
  setInput(node, 1, addConstant('scales', { dtype: 'float32', dims: [scales.length] }, Float32Array.from(scales)))
}

function dropSpatial(node: Node, { refuse }: UpgradeKit): void {
  if (intAttribute(node, 'spatial') === 0) refuse('spatial=0')
  removeAttribute(node, 'spatial')
}

function dropTrainingOutputs(node: Node, { isRead, refuse }: UpgradeKit): void {
  if (node.output.slice(1).some(isRead)) refuse('outputs of training that are used')
  node.output = node.output.slice(0, 1)
}

function dropMask(node: Node, { isRead, refuse }: UpgradeKit): void {
  if (node.output.slice(1).some(isRead)) refuse('a mask of numbers that is used')
  node.output = node.output.slice(0, 1)
}

function countOutputs(node: Node): void {
  if (!node.input[1]) setAttribute(node, newAttribute('num_outputs', { int: node.output.length }))
}

function renameMode(node: Node): void {
  const names: Readonly<Record<string, string>> = { bilinear: 'linear', bicubic: 'cubic' }
  const mode = names[stringAttribute(node, 'mode') ?? 'bilinear']
  if (mode) setAttribute(node, newAttribute('mode', { string: mode }))
}

// Up to opset 12 the input was flattened into a matrix at the axis, and each row was normalized. That is the same as
// one axis only when it is the last.
function flatten(node: Node, { makeName, rank }: UpgradeKit): Node[] | void {
  const axis = intAttribute(node, 'axis') ?? 1
  const [input = '', output = ''] = [node.input[0], node.output[0]]
  const last = axis === -1 || axis + 1 === rank(input)
  setAttribute(node, newAttribute('axis', { int: -1 }))
  if (last) return undefined
  const [shape, matrix, rows] = ['shape', 'matrix', 'rows'].map((part) => makeName(`${output}_${part}`)) as [
    string,
    string,
    string,
  ]
  node.input = [matrix]
  node.output = [rows]
  return [
    newNode('Shape', [input], [shape], { name: shape }),
    newNode('Flatten', [input], [matrix], { name: matrix, attribute: [newAttribute('axis', { int: axis })] }),
    node,
    newNode('Reshape', [rows, shape], [output], { name: makeName(`${output}_reshape`) }),
  ]
}

// Since opset 10 an Upsample is a Resize, which since opset 11 has an attribute for its rounding. No conversion ends
// between the two.
function upsampleByScales(node: Node): void {
  node.opType = 'Resize'
  setAttribute(node, newAttribute('nearest_mode', { string: 'floor' }))
}

// Opset 10 did not define the rounding; ONNX Runtime takes the pixel before when it enlarges and the one after when it
// shrinks.
function resizeByScales(node: Node, { addConstant, floats, refuse }: UpgradeKit): void {
  const [input = '', scales = ''] = node.input
  const roi = addConstant('roi', { dtype: 'float32', dims: [0] }, new Float32Array())
  node.input = [input, roi, scales]
  setAttribute(node, newAttribute('coordinate_transformation_mode', { string: 'asymmetric' }))
  if ((stringAttribute(node, 'mode') ?? 'nearest') !== 'nearest' || stringAttribute(node, 'nearest_mode')) return
  const factors = floats(scales) ?? refuse('scales that are not constant')
  const enlarges = factors.every((factor) => factor >= 1)
  if (!enlarges && factors.some((factor) => factor > 1)) refuse('scales that enlarge and shrink at once')
  setAttribute(node, newAttribute('nearest_mode', { string: enlarges ? 'floor' : 'ceil' }))
}

function refuseNearestHalf(node: Node, { refuse }: UpgradeKit): void {
  if (stringAttribute(node, 'coordinate_transformation_mode') === 'tf_half_pixel_for_nn')
    refuse('the coordinates tf_half_pixel_for_nn')
}

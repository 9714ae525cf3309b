import { open } from 'node:fs/promises'
import { attributeOf, intAttribute } from './attribute.ts'
import type { ByteRange } from './bytes.ts'
import { isMainDomain, type Message } from './proto.ts'

type Tensor = Message<'TensorProto'>

/**
 * Nodes of the main graph that were exported for training, as `operator "name"`: a BatchNormalization that computes the
 * mean of each batch, a Dropout that drops. Their outputs are not those that the trained model should give.
 *
 * @param rangeOf finds the bytes of a tensor that were left in a file
 */
export async function trainingNodes(
  graph: Message<'GraphProto'>,
  rangeOf: (tensor: Tensor) => ByteRange | undefined,
): Promise<readonly string[]> {
  const constants = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]))
  for (const node of graph.node) {
    const value = node.opType === 'Constant' ? attributeOf(node, 'value')?.t : undefined
    if (value && node.output[0]) constants.set(node.output[0], value)
  }
  const found: string[] = []
  for (const node of graph.node.filter(({ domain }) => isMainDomain(domain))) {
    if (!(await isTraining(node, constants, rangeOf))) continue
    found.push(`${node.opType} ${JSON.stringify(node.name || (node.output[0] ?? ''))}`)
    if (found.length === most) break
  }
  return found
}

/** As many are named in a warning. */
const most = 5

async function isTraining(
  node: Message<'NodeProto'>,
  constants: ReadonlyMap<string, Tensor>,
  rangeOf: (tensor: Tensor) => ByteRange | undefined,
): Promise<boolean> {
  if (node.opType === 'BatchNormalization') return intAttribute(node, 'training_mode') === 1
  // The third input of Dropout says so since opset 12.
  const mode = node.opType === 'Dropout' ? constants.get(node.input[2] ?? '') : undefined
  return mode !== undefined && (await isTrue(mode, rangeOf(mode)))
}

async function isTrue(tensor: Tensor, range: ByteRange | undefined): Promise<boolean> {
  if (Object.hasOwn(tensor, 'rawData')) return tensor.rawData[0] === 1
  if (!range) return tensor.int32Data[0] === 1
  const handle = await open(range.file)
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(1), 0, 1, range.offset)
    return bytesRead === 1 && buffer[0] === 1
  } finally {
    await handle.close()
  }
}

import { floats } from '../support/int8-graphs.ts'
import type { ModelSpec } from '../support/models.ts'

/** A small convolutional net in blocks, with branches that meet again. */
export function layeredNet(blocks: number): ModelSpec {
  const nodes: ModelSpec['nodes'][number][] = []
  let last = 'image'
  for (let block = 0; block < blocks; block++) {
    const at = (value: string) => `/block${block}/${value}`
    const kernel = block === 0 ? 'first' : 'kernel'
    nodes.push(
      {
        op: 'Conv',
        name: at('conv/Conv'),
        inputs: [last, kernel],
        outputs: [at('c')],
        attributes: { kernel_shape: [3, 3], pads: [1, 1, 1, 1] },
      },
      { op: 'Relu', name: at('act/Relu'), inputs: [at('c')], outputs: [at('r')] },
      { op: 'Sigmoid', name: at('gate/Sigmoid'), inputs: [at('c')], outputs: [at('g')] },
      { op: 'Mul', name: at('gate/Mul'), inputs: [at('r'), at('g')], outputs: [at('m')] },
      { op: 'Add', name: at('Add'), inputs: [at('m'), at('c')], outputs: [at('y')] },
    )
    last = at('y')
  }
  nodes.push({ op: 'Softmax', name: '/head/Softmax', inputs: [last], outputs: ['scores'], attributes: { axis: 1 } })
  return {
    inputs: { image: 'float32[1,3,24,24]' },
    outputs: { scores: 'float32[1,8,24,24]' },
    nodes,
    initializers: {
      first: { dtype: 'float32', dims: [8, 3, 3, 3], data: weights(216) },
      kernel: { dtype: 'float32', dims: [8, 8, 3, 3], data: weights(576) },
    },
  }
}

/** Nodes in a chain, with lines that skip some of them. */
export function longChain(length: number): ModelSpec {
  const nodes = Array.from({ length }, (_, index) => {
    const input = index === 0 ? 'x' : `v${index - 1}`
    const output = index === length - 1 ? 'y' : `v${index}`
    if (index % 5 === 4) return { op: 'Add', name: `n${index}`, inputs: [input, `v${index - 4}`], outputs: [output] }
    return { op: 'Relu', name: `n${index}`, inputs: [input], outputs: [output] }
  })
  return { inputs: { x: 'float32[1]' }, outputs: { y: 'float32[1]' }, nodes }
}

/** A Loop that does not end. */
export const endlessLoop: ModelSpec = {
  inputs: { x: 'float32[1]' },
  outputs: { y: 'float32[1]' },
  nodes: [
    {
      op: 'Loop',
      inputs: ['', 'always', 'x'],
      outputs: ['y'],
      attributes: {
        body: {
          graph: {
            name: 'body',
            inputs: { i: 'int64[]', before: 'bool[]', v: 'float32[1]' },
            outputs: { after: 'bool[]', w: 'float32[1]' },
            nodes: [
              { op: 'Identity', inputs: ['before'], outputs: ['after'] },
              { op: 'Sin', inputs: ['v'], outputs: ['w'] },
            ],
          },
        },
      },
    },
  ],
  initializers: { always: { dtype: 'bool', dims: [], data: Uint8Array.of(1) } },
}

/** 40 nodes, or weights, of which each loses something in fp16. */
export function lossyNet(loss: 'weights' | 'activations'): ModelSpec {
  const indexes = Array.from({ length: 40 }, (_, index) => index)
  return {
    inputs: { x: 'float32[1,64]' },
    outputs: { y: 'float32[1,64]' },
    nodes: indexes.map((index) => ({
      op: loss === 'weights' ? 'MatMul' : (['Tanh', 'Atan'][index % 2] ?? ''),
      name: `n${index}`,
      inputs: [index === 0 ? 'x' : `v${index}`, ...(loss === 'weights' ? [`w${index}`] : [])],
      outputs: [index === 39 ? 'y' : `v${index + 1}`],
    })),
    initializers:
      loss === 'weights'
        ? Object.fromEntries(indexes.map((index) => [`w${index}`, floats([64, 64], index + 1, 0.2)]))
        : {},
  }
}

/** With these the loss is too much, and the build fails with its report. */
export const lossyOptions = { engine: 'fp16', verify: { cosine: 0.9999999999 }, precision: { autoPin: false } } as const

function weights(length: number): readonly number[] {
  return Array.from({ length }, (_, index) => Math.sin(index * 12.9898) / 4)
}

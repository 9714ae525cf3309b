import { closeSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inTurn } from '../../plugin/bench/statistics.ts'
import { loadGraph } from '../../plugin/onnx/graph.ts'
import { writeGraph } from '../../plugin/onnx/write.ts'
import { onnxModel, type TensorSpec } from '../support/models.ts'
import { uniform } from '../support/samples.ts'
import { runNode } from './measure.ts'
import { workFolder } from './models.ts'
import { runPython } from './python.ts'
import type { Row } from './row.ts'

const peer = 'onnxconverter-common'
const child = fileURLToPath(new URL('./fp16-child.js', import.meta.url))

/** fp16 of a 400 MB model, from process start to exit, compared with the converter that Python users have. */
export async function fp16Bench(): Promise<readonly Row[]> {
  const file = await largeModel(join(workFolder, 'large.onnx'))
  const ours = join(workFolder, 'large-ours.onnx')
  const theirs = join(workFolder, 'large-theirs.onnx')
  const peaks = { ours: 0, peer: 0 }
  const times = await inTurn(
    3,
    async () => {
      const { output, milliseconds } = await runNode(child, [file, ours])
      peaks.ours = Math.max(peaks.ours, Number(output))
      return milliseconds
    },
    async () => {
      const { result, milliseconds } = await runPython<{ problems: readonly (string | null)[]; peak: number | null }>(
        'float16.py',
        [peer, file, theirs],
      )
      if (result.problems[0]) throw new Error(`${peer} cannot convert ${file}: ${result.problems[0]}`)
      peaks.peer = Math.max(peaks.peer, result.peak ?? 0)
      return milliseconds
    },
  )
  for (const path of [file, ours, theirs]) rmSync(path)
  const name = 'fp16 of a 400 MB model'
  return [
    { name: `${name}: time`, beside: peer, ...times, unit: 'ms', aim: { of: 'ratio', atMost: 0.2 } },
    ...(peaks.peer > 0
      ? [
          {
            name: `${name}: peak memory`,
            beside: peer,
            ...peaks,
            unit: 'MB',
            aim: { of: 'ratio', atMost: 0.5 },
          } as const,
        ]
      : []),
  ]
}

// 24 products of 2048x2048, in one file. The weights are random, because converters look at the values.
async function largeModel(file: string): Promise<string> {
  const size = 2048
  const count = 24
  const length = size * size * 4
  const data = openSync(`${file}.weights`, 'w')
  for (let layer = 0; layer < count; layer++)
    writeSync(data, new Uint8Array(uniform(size * size, layer + 1, 0.04).buffer))
  closeSync(data)
  const layers = Array.from({ length: count }, (_, layer) => layer)
  const names = [...layers.map((layer) => (layer === 0 ? 'x' : `v${layer}`)), 'y']
  writeFileSync(
    file,
    onnxModel({
      inputs: { x: `float32[1,${size}]` },
      outputs: { y: `float32[1,${size}]` },
      nodes: layers.map((layer) => ({
        op: 'MatMul',
        inputs: [names[layer]!, `w${layer}`],
        outputs: [names[layer + 1]!],
      })),
      initializers: Object.fromEntries(
        layers.map((layer): [string, TensorSpec] => [
          `w${layer}`,
          {
            dtype: 'float32',
            dims: [size, size],
            data: [],
            external: { location: 'large.onnx.weights', offset: layer * length, length },
          },
        ]),
      ),
    }),
  )
  const whole = `${file}.whole.onnx`
  await writeGraph({ ...(await loadGraph(file)), external: false }, whole)
  rmSync(`${file}.weights`)
  return whole
}

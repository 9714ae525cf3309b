import { fileURLToPath } from 'node:url'
import { inTurn } from '../../plugin/bench/statistics.ts'
import { runNode } from './measure.ts'
import { classifier, compiled, recogniser, type BenchModel } from './models.ts'
import type { Row } from './row.ts'

const script = fileURLToPath(new URL('./start-child.js', import.meta.url))

/** The time from process start to first result: what a serverless function or a command line tool waits for. */
export async function startBench(): Promise<readonly Row[]> {
  return [await startOf(recogniser, 'recogniser', 0.75), await startOf(classifier, 'classifier', 0.7)]
}

async function startOf(model: BenchModel, name: string, atMost: number): Promise<Row> {
  const manifest = await compiled(model)
  const dims = model.dims.join('x')
  const times = await inTurn(
    11,
    () => run('ours', manifest, dims),
    () => run('peer', model.file, dims),
  )
  return {
    name: `process start to first result, ${name}`,
    beside: 'onnxruntime-node from the .onnx',
    ...times,
    unit: 'ms',
    aim: { of: 'ratio', atMost },
  }
}

async function run(...args: string[]): Promise<number> {
  return (await runNode(script, args)).milliseconds
}

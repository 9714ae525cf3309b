import { fileURLToPath } from 'node:url'
import { inTurn, runNode } from './measure.ts'
import { compiled, recogniser } from './models.ts'
import type { Row } from './row.ts'

const script = fileURLToPath(new URL('./start-child.js', import.meta.url))

/** The time from process start to first result: what a serverless function or a command line tool waits for. */
export async function startBench(): Promise<readonly Row[]> {
  const manifest = await compiled(recogniser)
  const { ours, peer } = await inTurn(
    11,
    () => run('ours', manifest),
    () => run('peer', recogniser.file),
  )
  return [
    {
      name: 'process start to first result, recogniser',
      beside: 'onnxruntime-node from the .onnx',
      ours,
      peer,
      unit: 'ms',
      aim: { of: 'ratio', atMost: 0.75 },
    },
  ]
}

async function run(...args: string[]): Promise<number> {
  return (await runNode(script, args)).milliseconds
}

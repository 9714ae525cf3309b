import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { median } from '../../plugin/bench/statistics.ts'
import { affineModel } from '../support/models.ts'
import { runNode } from './measure.ts'
import { compiled, workFolder } from './models.ts'
import type { Row } from './row.ts'

const overheadChild = fileURLToPath(new URL('./bench-overhead-child.js', import.meta.url))

/** The command line tools: what they add to what they measure. */
export async function toolsBench(): Promise<readonly Row[]> {
  return [await benchOverhead()]
}

async function benchOverhead(): Promise<Row> {
  const file = join(workFolder, 'overhead.onnx')
  writeFileSync(file, affineModel())
  const { output } = await runNode(overheadChild, [await compiled({ file })])
  const rounds = JSON.parse(output) as { ours: number[]; peer: number[] }
  return {
    name: 'time per call that `bench` measures, two nodes',
    beside: 'a bare loop',
    ours: median(rounds.ours),
    peer: median(rounds.peer),
    unit: 'ms',
    aim: { of: 'ratio', atMost: 1.02 },
  }
}

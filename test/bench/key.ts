import { closeSync, ftruncateSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { timed } from '../../plugin/bench/measure-calls.ts'
import { inTurn } from '../../plugin/bench/statistics.ts'
import { digestSource } from '../../plugin/cache/source.ts'
import { openStatIndex } from '../../plugin/cache/stat-index.ts'
import { readModel } from '../../plugin/onnx/model.ts'
import { onnxModel } from '../support/models.ts'
import { readWhole } from './measure.ts'
import { workFolder } from './models.ts'
import type { Row } from './row.ts'

const gigabyte = 2 ** 30

/**
 * Bindings and key of a 1 GB model that was seen before: the cost of a large unchanged model in each build.
 */
export async function keyBench(): Promise<readonly Row[]> {
  const file = join(workFolder, 'large.onnx')
  const external = { location: 'large.bin', offset: 0, length: gigabyte }
  writeFileSync(
    file,
    onnxModel({
      inputs: { x: 'float32[1]' },
      outputs: { y: 'float32[268435456]' },
      nodes: [{ op: 'Mul', inputs: ['x', 'weight'], outputs: ['y'] }],
      initializers: { weight: { dtype: 'float32', dims: [gigabyte / 4], data: [], external } },
    }),
  )
  const weights = openSync(join(workFolder, external.location), 'w')
  ftruncateSync(weights, gigabyte)
  closeSync(weights)

  const again = async () => {
    const index = openStatIndex(join(workFolder, 'stat-index.json'))
    return timed(async () => digestSource(await readModel(file), index))
  }
  const times = await inTurn(5, again, () => timed(() => readWhole(join(workFolder, external.location))))
  return [
    {
      name: 'bindings and key of a 1 GB model, second time',
      beside: 'reading the file once',
      ...times,
      unit: 'ms',
      aim: { of: 'ratio', atMost: 0.05 },
    },
  ]
}

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadGraph } from '../../dist/plugin/onnx/graph.js'
import { readModel } from '../../dist/plugin/onnx/model.js'
import { sileroModels } from '../support/models.ts'
import type { Attack } from './contract.ts'
import { mutate } from './mutate.ts'
import { classifier, mayFail } from './workshop.ts'

/** Changed copies of real model files, read as a build and as a pass read them. */
export const models: Attack = {
  claim: 'a damaged model is read or refused with a code, in 10 s',
  patience: 10,
  async open({ random, folder }) {
    const originals = [classifier, sileroModels.flat, sileroModels.nested].map((file) => readFileSync(file))
    const file = join(folder, 'model.onnx')
    return async () => {
      writeFileSync(file, mutate(random.pick(originals), random))
      return (await mayFail(() => readModel(file))) ?? (await mayFail(() => loadGraph(file)))
    }
  },
}

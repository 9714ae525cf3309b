import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeModel } from '../../dist/plugin/api.js'
import { runProgram } from '../support/child.ts'
import type { Attack } from './contract.ts'
import { compileIn, writeAffine } from './workshop.ts'

const program = fileURLToPath(new URL('exiting.mjs', import.meta.url))

/** Programs that end while models load, run and are disposed of. */
export const exits: Attack = {
  claim: 'a program that ends at any moment ends with its own code, without a crash or a hang',
  async open({ random, folder }) {
    const source = join(folder, 'model.onnx')
    writeAffine(source, 2)
    const manifest = await writeModel(await compileIn(join(folder, 'cache'), source), join(folder, 'out'))
    return async () => {
      const mode = random.pick(['return', 'exit', 'exit in time', 'throw'])
      const moment = random.below(120)
      const exit = await runProgram(process.execPath, [program, manifest, mode, String(moment)], 20)
      const wanted = mode === 'throw' ? 7 : 0
      if (exit.code === wanted && exit.signal === null) return undefined
      return `${mode} after ${moment} ms: code ${exit.code}, signal ${exit.signal}\n${exit.output}`
    }
  },
}

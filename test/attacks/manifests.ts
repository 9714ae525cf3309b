import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeModel } from '../../dist/plugin/api.js'
import type { Attack } from './contract.ts'
import { mutateText } from './mutate.ts'
import { compileIn, mayFail, runManifest, writeAffine } from './workshop.ts'

/** Changed manifests next to a good engine. */
export const manifests: Attack = {
  claim: 'a damaged manifest gives the right numbers or an error with a code',
  async open({ random, folder }) {
    const source = join(folder, 'model.onnx')
    writeAffine(source, 2)
    const manifest = await writeModel(await compileIn(join(folder, 'cache'), source), join(folder, 'out'))
    const text = readFileSync(manifest, 'utf8')
    return async () => {
      writeFileSync(manifest, mutateText(text, random))
      let result: readonly number[] = [3, 5, 7, 9]
      const fault = await mayFail(async () => (result = await runManifest(manifest)))
      return fault ?? (result.join() === '3,5,7,9' ? undefined : `it gave ${result.join()}`)
    }
  },
}

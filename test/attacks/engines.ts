import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeModel } from '../../dist/plugin/api.js'
import { OnnxEngineError } from '../../dist/runtime/index.js'
import type { Attack } from './contract.ts'
import { mutate } from './mutate.ts'
import { compileIn, runManifest, writeAffine } from './workshop.ts'

/** Damaged engines in the output, loaded as they are and after a build over them. */
export const engines: Attack = {
  claim: 'a damaged engine is never run, and the next build repairs it',
  async open({ random, folder }) {
    const source = join(folder, 'model.onnx')
    const output = join(folder, 'out')
    writeAffine(source, 2)
    const compiled = await compileIn(join(folder, 'cache'), source)
    const manifest = await writeModel(compiled, output)
    const { file } = JSON.parse(readFileSync(manifest, 'utf8')).variants[0]
    const engine = join(output, file)
    const bytes = readFileSync(engine)
    return async () => {
      const damaged = random.next() < 0.5 ? sameSize(mutate(bytes, random), bytes) : mutate(bytes, random)
      if (bytes.equals(damaged)) return undefined
      writeFileSync(engine, damaged)
      const code = await runManifest(manifest).then(
        (result) => `it gave ${result.join()}`,
        (error: unknown) => (error instanceof OnnxEngineError ? error.code : String(error)),
      )
      if (code !== 'ARTIFACT_INVALID') return code
      await writeModel(compiled, output)
      return readFileSync(engine).equals(bytes) ? undefined : 'the build left the damaged engine'
    }
  },
}

function sameSize(changed: Uint8Array, original: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(original)
  bytes.set(changed.subarray(0, original.length))
  return bytes
}

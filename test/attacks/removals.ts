import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { startBuilder } from '../support/builder.ts'
import type { Attack } from './contract.ts'
import { compileIn, runCompiled, writeAffine } from './workshop.ts'

/** `cache clean` in another process, or rm -rf of the cache, between the compilation and the copy of an engine. */
export const removals: Attack = {
  claim: 'an engine that vanishes from the cache before it is copied is copied all the same',
  async open({ random, folder, onEnd }) {
    const file = join(folder, 'model.onnx')
    const cache = join(folder, 'cache')
    writeAffine(file, 2)
    const cleaner = await startBuilder('clean', cache)
    onEnd(() => cleaner.kill())
    let round = 0
    return async () => {
      const compiled = await compileIn(cache, file)
      if (random.next() < 0.5) await cleaner.ask('go')
      else rmSync(random.pick([cache, compiled.variants[0]!.artifact.file]), { recursive: true })
      const result = await runCompiled(compiled, join(folder, `out ${round++}`))
      return result.join() === '3,5,7,9' ? undefined : `it gave ${result.join()}`
    }
  },
}

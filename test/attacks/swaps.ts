import { copyFileSync, mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { OnnxEngineError } from '../../dist/runtime/index.js'
import type { Attack } from './contract.ts'
import { compileIn, runCompiled, writeAffine, writeScale } from './workshop.ts'

/** A model or its external data is replaced by another one at any moment of a build. */
export const swaps: Attack = {
  claim: 'no engine of one model is cached under the key of another',
  async open({ random, folder }) {
    let round = 0
    return async () => {
      const base = join(folder, String(round++))
      const external = random.next() < 0.5
      const files = writeTwo(base, external)
      const place = join(base, 'model.onnx')
      const changed = external ? '.bin' : '.onnx'
      const swap = (name: string): void => {
        copyFileSync(files[name]! + changed, `${place}.new`)
        renameSync(`${place}.new`, place.replace('.onnx', changed))
      }
      swap('two')
      if (external) copyFileSync(`${files['two']}.onnx`, place)
      const cache = join(base, 'cache')
      const building = compileIn(cache, place).catch((error: unknown) => {
        if (error instanceof OnnxEngineError) return undefined
        throw error
      })
      await delay(random.below(200))
      swap('five')
      await building
      swap('two')
      const two = await runCompiled(await compileIn(cache, place), join(base, 'out two'))
      swap('five')
      const five = await runCompiled(await compileIn(cache, place), join(base, 'out five'))
      const bias = external ? 0 : 1
      const right = two[0] === 2 + bias && five[0] === 5 + bias
      return right ? undefined : `the engines of 2 and 5 multiply by ${two[0]! - bias} and ${five[0]! - bias}`
    }
  },
}

/** Writes a model that multiplies by two and one that multiplies by five; returns their paths without the ending. */
function writeTwo(base: string, external: boolean): Readonly<Record<string, string>> {
  const files = { two: join(base, 'two', 'model'), five: join(base, 'five', 'model') }
  for (const [name, weight] of [
    ['two', 2],
    ['five', 5],
  ] as const) {
    mkdirSync(join(base, name), { recursive: true })
    const write = external ? writeScale : writeAffine
    write(`${files[name]}.onnx`, weight)
  }
  return files
}

import { join } from 'node:path'
import { writeModel } from '../../dist/plugin/api.js'
import { loadModel, OnnxEngineError } from '../../dist/runtime/index.js'
import type { Attack, Bench } from './contract.ts'
import { compileIn, sample, writeAffine } from './workshop.ts'

const calls = 50

/** Loads, calls, aborts and disposals without end in one process. */
export const soak: Attack = {
  claim: `every one of ${calls} calls gives the right numbers or its own abort, and memory does not grow`,
  async open({ random, folder }) {
    const source = join(folder, 'model.onnx')
    writeAffine(source, 2)
    const manifest = await writeModel(await compileIn(join(folder, 'cache'), source), join(folder, 'out'))
    let [round, settled] = [0, 0]
    return async () => {
      const model = await loadModel(manifest)
      const results = await Promise.all(Array.from({ length: calls }, () => callOnce(model, random)))
      await model.dispose()
      const wrong = results.find((result) => result !== undefined)
      if (wrong !== undefined) return wrong
      // Allocators and caches fill up first.
      const rss = process.memoryUsage.rss()
      if (++round === 40) settled = rss
      return round > 40 && rss > settled + 400e6 ? `${rss - settled} bytes more after ${round} rounds` : undefined
    }
  },
}

type Loaded = Awaited<ReturnType<typeof loadModel>>

async function callOnce(model: Loaded, random: Bench['random']): Promise<string | undefined> {
  const stop = new AbortController()
  const moment = random.below(3)
  if (random.next() < 0.3) setTimeout(() => stop.abort(), moment)
  try {
    const { y } = await model.infer(sample, { signal: stop.signal })
    const text = [...(y!.data as Float32Array)].join()
    return text === '3,5,7,9' ? undefined : `it gave ${text}`
  } catch (error) {
    const expected = error instanceof OnnxEngineError && error.code === 'ABORTED' && stop.signal.aborted
    return expected ? undefined : String(error)
  }
}

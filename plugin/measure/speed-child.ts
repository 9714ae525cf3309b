import { writeFile } from 'node:fs/promises'
import type { ChildTask } from '../child/contract.ts'
import { readSamples } from '../samples/read.ts'
import type { SampleSource } from '../samples/source.ts'
import { type Onnxruntime, feedsOf, type Session, type Feeds } from './feed.ts'

/** Settings for the speed measurement. */
export interface SpeedSettings {
  readonly source: SampleSource
  /** URL of the ONNX Runtime module. */
  readonly module: string
  /** The model to compare with the original. */
  readonly lowered: string
}

/** Milliseconds of one inference, the fastest of some. */
export interface Speed {
  readonly fp32: number
  readonly lowered: number
}

const least = { rounds: 3, milliseconds: 200 }

const most = 30

/**
 * Runs two models in turn on the first sample, so that both see the same load of the machine, and writes their times as
 * JSON.
 */
export const run: ChildTask = async ({ model, output, settings }, log) => {
  const { source, module, lowered } = settings as unknown as SpeedSettings
  const { default: ort } = (await import(module)) as { default: Onnxruntime }
  const open = (file: string) => ort.InferenceSession.create(file, { executionProviders: ['cpu'], logSeverityLevel: 3 })
  const [first, second] = [await open(model), await open(lowered)]
  for await (const sample of readSamples({ ...source, limit: 1 }, (state) => log('info', state))) {
    const feeds = feedsOf(ort, sample)
    const times = { fp32: Infinity, lowered: Infinity }
    let spent = 0
    for (let round = 0; round < most && (round < least.rounds || spent < least.milliseconds); round++) {
      const [a, b] = [await time(first, feeds), await time(second, feeds)]
      spent += a + b
      times.fp32 = Math.min(times.fp32, a)
      times.lowered = Math.min(times.lowered, b)
    }
    await writeFile(output, JSON.stringify(times satisfies Speed))
  }
  await first.release()
  await second.release()
}

async function time(session: Session, feeds: Feeds): Promise<number> {
  const start = performance.now()
  await session.run(feeds)
  return performance.now() - start
}

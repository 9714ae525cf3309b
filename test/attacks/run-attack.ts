import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Attack, Attempt } from './contract.ts'
import { seeded } from './random.ts'

export interface Limits {
  readonly seconds: number
  readonly seed: number
}

export interface Outcome {
  readonly attempts: number
  readonly faults: readonly string[]
  /** Why the attack could not run here. */
  readonly skipped?: string
}

/** Repeats an attack until its time is over; at least once. */
export async function runAttack(attack: Attack, { seconds, seed }: Limits): Promise<Outcome> {
  const skipped = attack.skipped?.()
  if (skipped !== undefined) return { attempts: 0, faults: [], skipped }
  const folder = await mkdtemp(join(tmpdir(), 'unplugin-onnx attäck-'))
  const ends: (() => unknown)[] = [() => rm(folder, { recursive: true, force: true })]
  const faults: string[] = []
  let attempts = 0
  try {
    const attempt = await attack.open({ random: seeded(seed), folder, onEnd: (end) => ends.push(end) })
    const deadline = performance.now() + seconds * 1000
    do {
      attempts++
      const fault = await judge(attempt, attack.patience ?? 30)
      if (fault !== undefined) faults.push(`attempt ${attempts} of seed ${seed}: ${fault}`)
    } while (performance.now() < deadline && faults.length < 10)
  } finally {
    for (const end of ends.reverse()) await end()
  }
  return { attempts, faults }
}

async function judge(attempt: Attempt, patience: number): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined
  const hung = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`hung for ${patience} s`), patience * 1000)
  })
  try {
    return await Promise.race([attempt(), hung])
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error)
  } finally {
    clearTimeout(timer)
  }
}

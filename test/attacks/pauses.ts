import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startBuilder } from '../support/builder.ts'
import type { Attack } from './contract.ts'

/** Builds that stand still, while a process whose clock is an hour ahead removes what it takes for old. */
export const pauses: Attack = {
  claim: 'a suspended build loses nothing, and a clock that is ahead costs no engine',
  skipped: () => (process.platform === 'win32' ? 'Windows cannot suspend a process by a signal' : undefined),
  async open({ random, folder }) {
    let round = 0
    return async () => {
      const dir = join(folder, String(round++))
      const [known, slow, ahead] = await Promise.all([
        startBuilder('known', dir),
        startBuilder('once', dir),
        startBuilder('collectAhead', dir),
      ])
      const stored = await known.ask<Answer>('go')
      const answer = slow.ask<Answer>('go')
      await delay(random.below(400))
      slow.suspend()
      await ahead.ask('go')
      slow.resume()
      const built = await answer
      return damaged(built) ?? damaged(stored)
    }
  },
}

interface Answer {
  readonly artifact: { readonly file: string; readonly sha256: string }
}

function damaged({ artifact: { file, sha256 } }: Answer): string | undefined {
  const actual = createHash('sha256').update(readFileSync(file)).digest('hex')
  return actual === sha256 ? undefined : `${file} has other bytes than were built`
}

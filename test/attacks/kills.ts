import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { openStore } from '../../dist/plugin/cache/store.js'
import { startBuilder } from '../support/builder.ts'
import type { Attack } from './contract.ts'

/** Processes that build and collect without end, killed at any moment. */
export const kills: Attack = {
  claim: 'a killed build leaves a cache of whole engines, and nothing else after the next removal',
  async open({ random, folder }) {
    const store = openStore({ dir: folder, maxSize: 1e9, maxAge: 1e9, warn: () => {} })
    return async () => {
      const builder = await startBuilder('forever', folder)
      builder.tell('go')
      await delay(random.below(60))
      await builder.kill()
      for (const { file, sha256 } of await store.list()) {
        const actual = createHash('sha256').update(readFileSync(file)).digest('hex')
        if (actual !== sha256) return `${file} has other bytes than the index says`
      }
      // Looked for once a day otherwise.
      rmSync(join(folder, 'v1', 'collected'), { force: true })
      await store.collect()
      const tmp = join(folder, 'v1', 'tmp')
      // A builder that was killed early has made none.
      const left = existsSync(tmp) ? readdirSync(tmp).length : 0
      return left === 0 ? undefined : `${left} folders of killed builds are left`
    }
  },
}

import { cache } from './cache.ts'
import type { Attack } from './contract.ts'
import { disks } from './disks.ts'
import { engines } from './engines.ts'
import { exits } from './exits.ts'
import { kills } from './kills.ts'
import { manifests } from './manifests.ts'
import { models } from './models.ts'
import { pauses } from './pauses.ts'
import { queries } from './queries.ts'
import { removals } from './removals.ts'
import { soak } from './soak.ts'
import { swaps } from './swaps.ts'

/** Every attack by the name that `npm run attack` takes. */
export const attacks: Readonly<Record<string, Attack>> = {
  models,
  queries,
  manifests,
  engines,
  cache,
  kills,
  swaps,
  removals,
  disks,
  pauses,
  exits,
  soak,
}

import { expect, test } from 'vitest'
import { attacks } from './attacks.ts'
import { runAttack } from './run-attack.ts'

// A short round with a fixed seed; `npm run attack` runs longer ones.
test.each(Object.entries(attacks))('attack %s finds no fault in a short round', async (name, attack) => {
  const outcome = await runAttack(attack, { seconds: 2, seed: 1 })
  if (outcome.skipped !== undefined) console.warn(`skipped: attack ${name}, because ${outcome.skipped}`)
  expect(outcome.faults).toEqual([])
})

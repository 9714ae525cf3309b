import { parseArgs } from 'node:util'
import { attacks } from './attacks.ts'
import { runAttack } from './run-attack.ts'

const usage = `npm run attack -- [NAME ...] [--seconds N] [--seed N]; names: ${Object.keys(attacks).join(', ')}`

/** Runs attacks by name, all when none is named, and exits with 1 when one of them finds a fault. */
async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { seconds: { type: 'string', default: '30' }, seed: { type: 'string', default: String(Date.now()) } },
    allowPositionals: true,
  })
  const [seconds, seed] = [Number(values.seconds), Number(values.seed)]
  const unknown = positionals.find((name) => !Object.hasOwn(attacks, name))
  if (unknown !== undefined || !(seconds > 0) || !Number.isSafeInteger(seed)) throw new Error(usage)
  console.log(`seed ${seed}, ${seconds} s each\n\n| attack | what must hold | attempts | faults |\n|---|---|---|---|`)
  const faults: string[] = []
  for (const [name, attack] of Object.entries(attacks)) {
    if (positionals.length > 0 && !positionals.includes(name)) continue
    const outcome = await runAttack(attack, { seconds, seed })
    const count = outcome.skipped === undefined ? outcome.faults.length : `skipped: ${outcome.skipped}`
    console.log(`| ${name} | ${attack.claim} | ${outcome.attempts} | ${count} |`)
    faults.push(...outcome.faults.map((fault) => `${name}: ${fault}`))
  }
  for (const fault of faults.slice(0, 50)) console.error(`\n${fault}`)
  // Not process.exitCode: a fault may have left something that never ends.
  process.exit(faults.length > 0 ? 1 : 0)
}

await main()

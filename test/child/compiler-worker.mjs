// A compiler for tests, which behaves as `settings.does` names it.
import { writeFileSync } from 'node:fs'

export async function run({ output, settings, verbose }, log) {
  await behaviours[settings.does]({ output, verbose, log })
}

const behaviours = {
  works({ output }) {
    writeFileSync(output, 'engine')
  },
  talks({ output, verbose, log }) {
    log('phase', 'Optimizing graph')
    if (verbose) log('info', 'a detail')
    log('warning', 'a warning')
    log('error', 'an error')
    writeFileSync(output, 'engine')
  },
  'writes half an engine for ever': ({ output, log }) => {
    writeFileSync(output, 'eng')
    log('phase', `pid ${process.pid}`)
    return new Promise(() => setInterval(() => {}, 1000))
  },
  'is killed': () => die('SIGKILL'),
  'reads memory that is not its own': () => {
    process.stderr.write('last line of a library\n')
    return die('SIGSEGV')
  },
  'runs out of memory': () => {
    const kept = []
    for (;;) kept.push(Array.from({ length: 1000 }, (_, index) => ({ index })))
  },
  exits: () => process.exit(3),
}

function die(signal) {
  process.kill(process.pid, signal)
  return new Promise(() => setInterval(() => {}, 1000))
}

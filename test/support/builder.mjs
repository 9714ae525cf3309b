// A process that uses the cache, for tests of what happens between processes and when one is killed.
// usage: node builder.mjs MODE DIR; it says 'ready' over IPC, starts on the first message, and answers with JSON.
import { appendFileSync, readFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { cacheKey } from '../../dist/plugin/cache/key.js'
import { openStore } from '../../dist/plugin/cache/store.js'

const [mode, dir] = process.argv.slice(2)
const warnings = []
const store = openStore({ dir, maxSize: 1e9, maxAge: 1e9, warn: (message) => warnings.push(message) })

/** Writes the bytes that belong to a name, piece by piece, as a compiler does. */
async function writeEngine(output, name, pieces) {
  const handle = await open(output, 'w')
  try {
    for (let i = 0; i < pieces; i++) await handle.write(Buffer.alloc(1 << 16, name))
  } finally {
    await handle.close()
  }
}

const request = (name) => ({ key: cacheKey({ name }), importKey: `importKey of ${name}`, label: name })

const modes = {
  /** One slow build that must happen in one process only. */
  async once() {
    return store.getOrBuild(request('once'), async (output) => {
      appendFileSync(join(dir, 'builds'), `${process.pid}\n`)
      await writeEngine(output, 'once', 8)
      await delay(300)
    })
  },

  /** Builds one engine after the other until it is killed. */
  async forever() {
    for (let i = 0; ; i++) {
      const name = `engine ${Math.floor(Math.random() * 1e6) % 200}`
      await store.getOrBuild(request(name), (output) => writeEngine(output, name, 1 + (i % 4)))
      if (i % 7 === 0) await store.collect()
    }
  },

  /**
   * Two requests for an engine of 2 MB, then one for an engine that may be there already, in whatever folder this is.
   */
  async trouble() {
    const stored = []
    let builds = 0
    for (let i = 0; i < 2; i++) {
      const { artifact, reason } = await store.getOrBuild(request('huge'), async (output) => {
        builds++
        await writeEngine(output, 'huge', 32)
      })
      const inside = artifact.file.startsWith(dir)
      stored.push({ reason, inside, right: readFileSync(artifact.file).equals(Buffer.alloc(32 << 16, 'huge')) })
    }
    const known = await store.getOrBuild(request('known'), (output) => writeEngine(output, 'known', 1))
    return { stored, builds, warnings, known: known.reason }
  },

  /** Removes what is old by a clock that is an hour ahead. */
  async collectAhead() {
    const now = Date.now
    Date.now = () => now() + 3_600_000
    const limits = { maxSize: 0, maxAge: 0 }
    return openStore({ dir, ...limits, warn: (message) => warnings.push(message) }).collect()
  },

  /** Removes everything, as often as it is asked. */
  async clean() {
    process.on('message', async () => process.send(await store.clear()))
    return store.clear()
  },

  /** Stores one small engine. */
  async known() {
    return store.getOrBuild(request('known'), (output) => writeEngine(output, 'known', 1))
  },
}

if (process.send) {
  // All is loaded before it says so: what happens next is work on the cache and nothing else.
  await store.list()
  process.send('ready')
  await new Promise((resolve) => process.once('message', resolve))
}
const result = await modes[mode]()
if (process.send) process.send(result, () => mode === 'clean' || process.disconnect())
else console.log(JSON.stringify(result))

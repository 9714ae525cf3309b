import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheKey, sourceFacts } from '../../dist/plugin/cache/key.js'
import { readSource } from '../../dist/plugin/cache/source.js'
import { openStore, type Store } from '../../dist/plugin/cache/store.js'
import { OnnxEngineError } from '../../dist/runtime/index.js'
import type { Attack, Bench } from './contract.ts'
import { mutate } from './mutate.ts'
import { writeAffine } from './workshop.ts'

/** Damaged files of the cache, and links and FIFOs in their places; then a build, a removal and a check. */
export const cache: Attack = {
  claim: 'a damaged cache gives the right engine and bindings, or an error with a code, and nothing outside is touched',
  patience: 10,
  async open({ random, folder }) {
    const model = join(folder, 'model.onnx')
    const victim = join(folder, 'victim')
    writeAffine(model, 2)
    // Older than what a file system's clock can tell apart: the digests are remembered.
    execFileSync('touch', ['-d', '1 hour ago', model])
    const [pristine, dir] = [join(folder, 'pristine'), join(folder, 'cache')]
    const expected = await useStore(openCache(pristine), model)
    return async () => {
      rmSync(dir, { recursive: true, force: true })
      cpSync(pristine, dir, { recursive: true, preserveTimestamps: true })
      plantVictim(victim)
      const what = damage(join(dir, 'v1'), victim, random)
      const fault = await checkStore(dir, model, expected)
      if (fault !== undefined) return `${what}: ${fault}`
      const outside = readdirSync(victim, { recursive: true }).sort().join()
      return outside === 'folder,folder/precious,precious' ? undefined : `${what}: outside is now ${outside}`
    }
  },
}

function openCache(dir: string): Store {
  return openStore({ dir, maxSize: 0, maxAge: 0, warn: () => {} })
}

/** The bindings and the engine that a build gets, as text. */
async function useStore(store: Store, file: string): Promise<string> {
  const { model, source } = await readSource(file, store.statIndex)
  const key = cacheKey(sourceFacts(source))
  const { artifact } = await store.getOrBuild({ key, importKey: 'model.onnx', label: 'model' }, (output) =>
    writeFile(output, `engine of ${key.digest}`),
  )
  const bytes = readFileSync(artifact.file, 'utf8')
  const intact = createHash('sha256').update(bytes).digest('hex') === artifact.sha256
  return JSON.stringify([model, source, bytes, intact])
}

async function checkStore(dir: string, model: string, expected: string): Promise<string | undefined> {
  const store = openCache(dir)
  for (const use of [() => useStore(store, model), store.collect, store.verify, store.list, store.clear]) {
    try {
      const result = await use()
      if (typeof result === 'string' && result !== expected) return `it gave ${result} instead of ${expected}`
    } catch (error) {
      if (!(error instanceof OnnxEngineError)) return `not an OnnxEngineError: ${(error as Error).stack}`
    }
  }
  return undefined
}

function plantVictim(victim: string): void {
  rmSync(victim, { recursive: true, force: true })
  mkdirSync(join(victim, 'folder'), { recursive: true })
  writeFileSync(join(victim, 'folder', 'precious'), 'precious')
  writeFileSync(join(victim, 'precious'), 'precious')
}

/** Changes a file, or puts a link or a FIFO in the place of a file or folder; returns what it did. */
function damage(root: string, victim: string, random: Bench['random']): string {
  const places = readdirSync(root, { recursive: true, encoding: 'utf8' }).sort()
  const name = random.pick(places)
  const place = join(root, name)
  const kind = random.pick(['bytes', 'bytes', 'bytes', 'link', 'fifo', 'leftover'])
  if (kind === 'bytes' && lstatSync(place).isFile()) {
    writeFileSync(place, mutate(readFileSync(place), random))
    return `changed bytes of ${name}`
  }
  if (kind === 'leftover') {
    mkdirSync(join(root, 'tmp'), { recursive: true })
    symlinkSync(victim, join(root, 'tmp', '00000000-0000-4000-8000-000000000000'))
    return 'a link in tmp'
  }
  rmSync(place, { recursive: true })
  if (kind === 'fifo') execFileSync('mkfifo', [place])
  else symlinkSync(random.pick([victim, place, '/dev/zero']), place)
  return `${kind === 'fifo' ? 'a FIFO' : 'a link'} at ${name}`
}

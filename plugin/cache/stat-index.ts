import { dirname } from 'node:path'
import * as v from 'valibot'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { fileTime } from '../files/file-clock.ts'
import { replaceFile } from '../files/replace-file.ts'
import { sameStamp, stampOf } from '../files/stamp.ts'
import { readJson, seal, unseal } from './sealed.ts'

/** Digests by name. */
export type Digests = Readonly<Record<string, string>>

/** Remembers what was computed from a file for as long as the file's stat does not change: it only saves hashing. */
export interface StatIndex {
  /**
   * What `compute` gives for `file`, from memory when the file is surely unchanged. `what` names the computation: it
   * must change with anything but the file that the result depends on. Throws MODEL_INVALID when the file keeps
   * changing while it is read.
   */
  remember(file: string, what: string, compute: () => Promise<Digests>): Promise<Digests>
}

/**
 * Opens a stat index that lives in `file`, as git's index does for a work tree. It is written when something was
 * computed; a folder that cannot be written, or a damaged file, costs only the hashing.
 *
 * @param clock milliseconds since the epoch; that of the file system when absent
 */
export function openStatIndex(file: string, clock: Clock = () => fileTime(dirname(file))): StatIndex {
  const fresh = new Map<string, Entry>()
  let known: Promise<Map<string, Entry>> | undefined
  let saving = Promise.resolve()

  return {
    async remember(target, what, compute) {
      for (let attempt = 0; attempt < 3; attempt++) {
        const before = await stampOf(target)
        const id = `${what} ${target}`
        const entry = (await (known ??= load(file))).get(id)
        if (entry && sameStamp(entry, before) && !racy(entry)) return entry.digests
        const at = await clock()
        const digests = await compute()
        if (!sameStamp(before, await stampOf(target))) continue
        const computed = { id, ...before, at, digests }
        ;(await known).set(id, computed)
        fresh.set(id, computed)
        await (saving = saving.then(() => save(file, fresh)))
        return digests
      }
      throw new OnnxEngineError('MODEL_INVALID', target, {
        expected: 'a file that stays the same while it is read',
        received: 'one that changed three times',
        hint: 'Wait until whatever writes the file is done',
      })
    },
  }
}

type Clock = () => number | Promise<number>

const stampFields = { size: v.string(), mtimeNs: v.string(), ctimeNs: v.string(), ino: v.string() }
const entrySchema = v.object({
  id: v.string(),
  ...stampFields,
  /** Milliseconds since the epoch by the clock of the cache's file system, taken before the file was read. */
  at: v.number(),
  digests: v.record(v.string(), v.string()),
})
const fileSchema = v.object({ version: v.literal(2), entries: v.array(v.unknown()) })
type Entry = v.InferOutput<typeof entrySchema>

const capacity = 4096

// Git's racily-clean rule: a file written in the same tick of its clock as it was read may have changed again without
// another stamp. A tick is some milliseconds on today's file systems, two seconds (FAT) where stamps are whole seconds.
function racy({ mtimeNs, ctimeNs, at }: Entry): boolean {
  const [mtime, ctime] = [BigInt(mtimeNs), BigInt(ctimeNs)]
  const newest = mtime > ctime ? mtime : ctime
  const tick = newest % 1_000_000_000n === 0n ? 2_000_000_000n : 100_000_000n
  return BigInt(at) * 1_000_000n - newest < tick
}

async function load(file: string): Promise<Map<string, Entry>> {
  const entries = (await readEntries(file)).filter((entry) => entry !== undefined)
  return new Map(entries.map((entry) => [entry.id, entry]))
}

/** Undefined for each damaged entry. */
async function readEntries(file: string): Promise<readonly (Entry | undefined)[]> {
  const parsed = v.safeParse(fileSchema, await readJson(file))
  return parsed.success ? parsed.output.entries.map((entry) => unseal(entry, entrySchema)) : []
}

/** Removes damaged entries from a stat index, and returns how many there were. */
export async function repairStatIndex(file: string): Promise<number> {
  const entries = await readEntries(file)
  const good = entries.filter((entry) => entry !== undefined)
  if (good.length < entries.length) await write(file, good)
  return entries.length - good.length
}

// Read again before writing: another process may have added to it. Whoever renames last wins; the loser's files are
// hashed once more.
async function save(file: string, fresh: ReadonlyMap<string, Entry>): Promise<void> {
  const merged = new Map([...(await load(file)), ...fresh])
  const entries = [...merged.values()].sort((a, b) => b.at - a.at).slice(0, capacity)
  await write(file, entries).catch(() => {})
}

function write(file: string, entries: readonly Entry[]): Promise<void> {
  return replaceFile(file, JSON.stringify({ version: 2, entries: entries.map(seal) }))
}

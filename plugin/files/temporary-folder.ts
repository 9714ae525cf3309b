import { rmSync } from 'node:fs'
import { lstat, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hostTag, isRunning } from './owner.ts'

/** A folder that is removed, with all that is in it, at the end of the block that holds it by `await using`. */
export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string
}

/**
 * Makes a fresh folder inside `parent`: the system's folder for temporary files when absent. Its name has the id of
 * this process, so that the next one removes it when this one is killed.
 */
export async function temporaryFolder(parent: string = tmpdir()): Promise<TemporaryFolder> {
  if (parent === tmpdir()) await sweepOnce()
  const path = await mkdtemp(join(parent, `unplugin-onnx-${process.pid}-${hostTag}-`))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** A fresh folder in the system's folder for temporary files that is removed when this process exits. */
export async function folderUntilExit(): Promise<string> {
  const { path } = await temporaryFolder()
  if (untilExit.size === 0) process.once('exit', removeAll)
  untilExit.add(path)
  return path
}

// One listener, however many folders: Node warns of the eleventh.
const untilExit = new Set<string>()

function removeAll(): void {
  for (const path of untilExit) {
    try {
      rmSync(path, { recursive: true, force: true })
    } catch {
      // Windows keeps files that are open; the next process removes the folder.
    }
  }
}

let sweeping: Promise<void> | undefined

function sweepOnce(): Promise<void> {
  sweeping ??= removeAbandonedFolders(tmpdir()).catch(() => {})
  return sweeping
}

/** Removes the folders that killed processes of this host and user left in `parent`. */
export async function removeAbandonedFolders(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const [, pid, host] = /^unplugin-onnx-(\d+)-([0-9a-f]{8})-\w{6}$/.exec(name) ?? []
    if (pid === undefined || host !== hostTag || isRunning({ pid: Number(pid) })) continue
    const path = join(parent, name)
    const found = await lstat(path).catch(() => undefined)
    const isOurs = found?.isDirectory() && (process.getuid === undefined || found.uid === process.getuid())
    if (isOurs) await rm(path, { recursive: true, force: true }).catch(() => {})
  }
}

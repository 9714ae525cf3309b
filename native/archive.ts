import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { unpackZip } from './zip.ts'

/**
 * Unpacks the entries of an archive (.zip, .jar, .whl, .tar.gz, .tgz or .tar) that `place` maps to a path inside
 * `folder`, which appears complete or not at all. Throws plain Errors, also when no entry has a place.
 */
export async function unpackArchive(
  file: string,
  folder: string,
  place: (entry: string) => string | undefined,
  signal?: AbortSignal,
): Promise<void> {
  if (/\.(zip|jar|whl)$/i.test(file)) {
    let found = false
    const placed = (entry: string) => {
      const target = place(entry)
      found ||= target !== undefined
      return target
    }
    await unpackZip(file, folder, placed, signal)
    if (found) return
    await rm(folder, { recursive: true })
    throw new Error(`${file} holds none of its files`)
  }
  if (!/\.(tar|tgz|tar\.gz)$/i.test(file)) throw new Error(`${file} is not a .zip, .jar, .whl or .tar.gz file`)
  await unpackTar(file, folder, place, signal)
}

// The system's tar: each system that these libraries are for has one. It keeps links, and never writes outside its
// folder.
async function unpackTar(
  file: string,
  folder: string,
  place: (entry: string) => string | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  await mkdir(path.dirname(folder), { recursive: true })
  const temporary = await mkdtemp(`${folder}-`)
  const [all, out, list] = ['all', 'out', 'list'].map((name) => path.join(temporary, name)) as [string, string, string]
  try {
    const entries = (await tar(['-tf', path.resolve(file)], temporary, signal)).split(/\r?\n/)
    const placed = entries.flatMap((entry) => {
      const target = entry.endsWith('/') ? undefined : place(entry)
      return target === undefined ? [] : [{ entry, target }]
    })
    if (placed.length === 0) throw new Error(`${file} holds none of its files`)
    await mkdir(all)
    await writeFile(list, placed.map(({ entry }) => `${entry}\n`).join(''))
    await tar(['-xf', path.resolve(file), '-C', all, '-T', list], temporary, signal)
    for (const { entry, target } of placed) {
      const destination = path.resolve(out, target)
      await mkdir(path.dirname(destination), { recursive: true })
      await rename(path.join(all, entry), destination)
    }
    await rename(out, folder).catch((error: unknown) => {
      // Another process was faster, and unpacked the same.
      if (!existsSync(folder)) throw error
    })
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}

async function tar(args: readonly string[], cwd: string, signal: AbortSignal | undefined): Promise<string> {
  try {
    return (await promisify(execFile)('tar', args, { cwd, signal, maxBuffer: 2 ** 26 })).stdout
  } catch (error) {
    signal?.throwIfAborted()
    const { stderr, message } = error as Error & { stderr?: string }
    throw new Error(`tar failed: ${(stderr || message).trim().split('\n', 1)[0]}`, { cause: error })
  }
}

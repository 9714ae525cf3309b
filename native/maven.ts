import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, existsSync, statSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'

/** A file in a Maven repository, pinned: Maven finds it, its digest decides. */
export interface MavenArtifact {
  /** Such as 'org.bytedeco'. */
  readonly group: string
  readonly name: string
  readonly version: string
  /** Such as 'linux-x86_64-redist'. */
  readonly classifier: string
  /** Size of the jar. */
  readonly bytes: number
  /** Lower-case hex SHA-256 of the jar. */
  readonly sha256: string
}

export interface MavenOptions {
  /** Folder for what Maven downloads: its local repository for this call. An interrupted download goes on there. */
  readonly repository: string
  readonly signal?: AbortSignal
  /** Receives the bytes that have been downloaded so far, every 5 seconds. */
  readonly onProgress?: (bytes: number) => unknown
}

/** Where an artifact is inside a local repository. */
export function artifactFile({ group, name, version, classifier }: MavenArtifact, repository: string): string {
  return path.join(repository, ...group.split('.'), name, version, `${name}-${version}-${classifier}.jar`)
}

/**
 * Downloads a jar by the user's own Maven, with its settings and mirrors, and verifies it. Returns the path of the jar.
 * Throws plain Errors.
 */
export async function fetchArtifact(
  artifact: MavenArtifact,
  { repository, signal, onProgress }: MavenOptions,
): Promise<string> {
  const file = artifactFile(artifact, repository)
  const { group, name, version, classifier, sha256 } = artifact
  const coordinates = [group, name, version, 'jar', classifier].join(':')
  if (!existsSync(file)) {
    // Maven writes to this file, and renames it in the end.
    const timer = setInterval(() => onProgress?.(statSync(`${file}.part`, { throwIfNoEntry: false })?.size ?? 0), 5_000)
    try {
      await maven(['dependency:get', `-Dartifact=${coordinates}`, '-Dtransitive=false'], repository, signal)
    } finally {
      clearInterval(timer)
    }
  }
  const received = await digest(file)
  if (received === sha256) return file
  await rm(file)
  throw new Error(`Maven downloaded ${coordinates}, but no file with SHA-256 ${sha256}`)
}

async function digest(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}

async function maven(goal: readonly string[], repository: string, signal: AbortSignal | undefined): Promise<void> {
  const program = process.platform === 'win32' ? 'mvn.cmd' : 'mvn'
  const flags = ['--batch-mode', '--quiet', `-Dmaven.repo.local=${repository}`]
  try {
    // Node runs a .cmd file through a shell only.
    await promisify(execFile)(program, [...flags, ...goal], { signal, shell: process.platform === 'win32' })
  } catch (error) {
    signal?.throwIfAborted()
    const { code, stdout, message } = error as Error & { code?: unknown; stdout?: string }
    if (code === 'ENOENT') throw new Error('Maven is needed to download, and mvn was not found', { cause: error })
    // Maven prints its errors to the standard output, and the reason first.
    const reason = /^\[ERROR\] (.*)$/m.exec(stdout ?? '')?.[1] ?? message
    throw new Error(`Maven failed: ${reason}`, { cause: error })
  }
}

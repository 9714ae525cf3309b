import type { InstallableName } from './installables.ts'
import { print } from './print.ts'
import { listSetups, removeSetups, setup, type SetupOptions } from './setup.ts'

/** Flags of `unplugin-onnx setup`. */
export interface SetupFlags {
  readonly json?: boolean
  readonly list?: boolean
  readonly remove?: boolean
  readonly acceptLicense?: boolean
}

/** Sets a library up. Ctrl-C stops it, and it leaves nothing half-installed. */
export async function setUp(library: InstallableName, flags: SetupFlags & SetupOptions): Promise<void> {
  const { json, acceptLicense, release, from, indexUrl } = flags
  const interruption = new AbortController()
  const interrupt = () => interruption.abort(new Error('interrupted'))
  process.once('SIGINT', interrupt)
  try {
    const options = { acceptLicense, release, from, indexUrl, log: console.error, signal: interruption.signal }
    const folder = await setup(library, options)
    print(json, { library, folder }, folder)
  } finally {
    process.off('SIGINT', interrupt)
  }
}

/** Prints what is set up: library, size and folder. */
export async function listSetUp({ json }: SetupFlags): Promise<void> {
  const all = await listSetups()
  const lines = all.map(({ library, bytes, folder }) => `${library}  ${megabytes(bytes)}  ${folder}`)
  print(json, all, lines.length > 0 ? lines.join('\n') : 'nothing is set up')
}

/** Removes every release of a library that is set up. */
export async function removeSetUp(library: InstallableName, { json }: SetupFlags): Promise<void> {
  const removed = await removeSetups(library)
  const lines = removed.map(({ bytes, folder }) => `removed ${folder} (${megabytes(bytes)})`)
  print(json, removed, lines.length > 0 ? lines.join('\n') : `${library} is not set up`)
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`
}

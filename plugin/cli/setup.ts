import type { CAC, Command } from 'cac'
import { oneOf, validate } from '../options/validators.ts'
import { type InstallableName, installables } from './installables.ts'
import { printResult } from './print.ts'
import { listSetups, removeSetups, setUpLibrary, type SetupOptions } from './set-up-library.ts'
import { optionText, optionTexts } from './usage.ts'

/** `unplugin-onnx setup`: downloads an engine library, lists or removes what is set up. */
export function addSetupCommand(command: Command, cli: CAC): void {
  command
    .example(`unplugin-onnx setup ${names[0]}    (or ${names.slice(1).join(', ')})`)
    .option('--release <number>', 'Release of the library: 10 or 11 of tensorrt (default: 11)')
    .option('--from <file>', 'Unpack an archive that you have (.zip, .jar, .whl, .tar.gz) instead of a download')
    .option('--index-url <url>', `Python package index to download from (default: pip's own)`)
    .option('--accept-license', 'You have read the license of the library and agree to it (tensorrt-rtx, tensorrt)')
    .option('--list', 'List what is set up')
    .option('--remove', 'Remove what is set up of the library')
    .option('--json', optionTexts.json)
    .action(async (name: string | undefined, flags: SetupFlags) => {
      if (flags.list) return listSetUp(flags)
      const library = validate(oneOf(names), name, 'OPTION_INVALID', () => 'unplugin-onnx setup')
      if (flags.remove) return removeSetUp(library, flags)
      const [release, from, indexUrl] = ['release', 'from', 'index-url'].map((option) => optionText(cli, option))
      await setUp(library, { ...flags, release, from, indexUrl })
    })
}

const names = Object.keys(installables) as InstallableName[]

interface SetupFlags {
  readonly json?: boolean
  readonly list?: boolean
  readonly remove?: boolean
  readonly acceptLicense?: boolean
}

/** Sets a library up. Ctrl-C stops it, and it leaves nothing half-installed. */
async function setUp(library: InstallableName, flags: SetupFlags & SetupOptions): Promise<void> {
  const { json, acceptLicense, release, from, indexUrl } = flags
  const interruption = new AbortController()
  const interrupt = () => interruption.abort(new Error('interrupted'))
  process.once('SIGINT', interrupt)
  try {
    const options = { acceptLicense, release, from, indexUrl, log: console.error, signal: interruption.signal }
    const folder = await setUpLibrary(library, options)
    printResult(json, { library, folder }, folder)
  } finally {
    process.off('SIGINT', interrupt)
  }
}

async function listSetUp({ json }: SetupFlags): Promise<void> {
  const all = await listSetups()
  const lines = all.map(({ library, bytes, folder }) => `${library}  ${megabytes(bytes)}  ${folder}`)
  printResult(json, all, lines.length > 0 ? lines.join('\n') : 'nothing is set up')
}

async function removeSetUp(library: InstallableName, { json }: SetupFlags): Promise<void> {
  const removed = await removeSetups(library)
  const lines = removed.map(({ bytes, folder }) => `removed ${folder} (${megabytes(bytes)})`)
  printResult(json, removed, lines.length > 0 ? lines.join('\n') : `${library} is not set up`)
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`
}

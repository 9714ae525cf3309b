import { once } from 'node:events'
import type { CAC, Command } from 'cac'
import { resolveOptions } from '../options/resolve.ts'
import { liveEvents } from '../view/live.ts'
import { openBrowser } from '../view/open-browser.ts'
import { readPageFiles } from '../view/page-files.ts'
import { serveView } from '../view/server.ts'
import { viewData } from '../view/view-data.ts'
import { commandOptions } from './arguments.ts'
import { optionTexts } from './usage.ts'
import { usageError } from './usage.ts'

interface ViewFlags {
  readonly port?: unknown
  readonly open: boolean
}

/** `unplugin-onnx view`: shows models and their engines in a page of this machine, until it is interrupted. */
export function addViewCommand(command: Command, cli: CAC): void {
  command
    .option('--port <n>', 'Port of the page (default: a free one)')
    .option('--no-open', 'Print the address of the page, and open no browser')
    .option('--root <dir>', optionTexts.root)
    .option('--cache-dir <dir>', optionTexts.cacheDir)
    .action((path: string | undefined, flags: ViewFlags) => runView(cli, path, flags))
}

async function runView(cli: CAC, path: string | undefined, { port, open }: ViewFlags): Promise<void> {
  const user = commandOptions(cli)
  const options = resolveOptions(user)
  const data = await viewData({ path: path ?? options.root, options, user, isLive: false })
  const site = { files: await readPageFiles(), data, live: liveEvents() }
  const server = await serveView(site, portOf(port))
  // Before the address is out: whoever reads it may end the command at once.
  const interrupted = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
  console.log(server.url)
  if (open && !(await openBrowser(server.url))) console.error('No browser could be opened: open this address in one')
  console.error('Press Ctrl-C to end')
  await interrupted
  await server.close()
}

function portOf(port: unknown): number {
  if (port === undefined) return 0
  const isPort = typeof port === 'number' && Number.isInteger(port) && port >= 0 && port <= 65_535
  if (!isPort) throw usageError(`--port ${String(port)}`, 'Give a number from 0 to 65535')
  return port
}

import { createInterface } from 'node:readline/promises'
import type { CAC, Command } from 'cac'
import { applyChanges, changeText } from '../doctor/changes.ts'
import { planInit } from '../doctor/plan-init.ts'
import { resolveOptions } from '../options/resolve.ts'
import { colouredPaint } from '../terminal/colour.ts'
import { isInteractive } from '../terminal/live.ts'
import { patchText } from './patch-text.ts'
import { printResult } from './print.ts'
import { optionText, optionTexts, usageError } from './usage.ts'

interface InitFlags {
  readonly yes?: boolean
  readonly json?: boolean
}

/** `unplugin-onnx init`: adds the plugin to an app. */
export function addInitCommand(command: Command, cli: CAC): void {
  command
    .option('--yes', 'Write without asking')
    .option('--root <dir>', optionTexts.root)
    .option('--json', optionTexts.json)
    .action((flags: InitFlags) => runInit(cli, flags))
}

async function runInit(cli: CAC, { yes = false, json }: InitFlags): Promise<void> {
  const options = resolveOptions({ root: optionText(cli, 'root') })
  const { framework, changes, notes } = await planInit(options)
  const paint = colouredPaint(process.stderr)
  for (const change of changes) console.error(`${patchText(changeText(change, options.root), paint)}\n`)
  const isWritten = changes.length > 0 && (yes || (await agrees()))
  if (isWritten) await applyChanges(changes)
  const files = changes.map(({ file }) => file)
  const done = isWritten ? files.map((file) => `wrote ${file}`) : ['nothing was written']
  const lines = [...(framework === undefined ? [] : [`found ${framework}`]), ...done, ...notes]
  printResult(json, { framework, files, written: isWritten, notes }, lines.join('\n'))
  if (framework === undefined || (changes.length > 0 && !isWritten)) process.exitCode = 1
}

async function agrees(): Promise<boolean> {
  if (!isInteractive(process.stdin) || !process.stderr.isTTY)
    throw usageError('init asks before it writes, and this is no terminal', 'Give --yes to write the changes above')
  const asking = createInterface({ input: process.stdin, output: process.stderr })
  const answer = await asking.question('Write these changes? [y/N] ')
  asking.close()
  return /^y(?:es)?$/i.test(answer.trim())
}

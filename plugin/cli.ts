#!/usr/bin/env node
/**
 * The command `unplugin-onnx`. This file runs it and prints its errors; each command is a file in cli/, which is loaded
 * when it is used. cli/arguments.ts reads what the user typed, cli/reports.ts makes the text for the terminal.
 */
import { readFileSync } from 'node:fs'
import { stripVTControlCharacters } from 'node:util'
import type { CAC } from 'cac'
import { OnnxEngineError } from '../runtime/errors.ts'
import { commands } from './cli/commands.ts'
import type { OwnPackage } from './cli/doctor.ts'
import { hintFor, refuseUnknownOptions, usageError } from './cli/usage.ts'

const own = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as OwnPackage

async function main(argv: string[]): Promise<void> {
  const cli = await commands(own, (name) => argv.includes(name))
  try {
    cli.parse(await withOurSpelling(argv), { run: false })
    if (cli.matchedCommand) {
      refuseUnknownOptions(cli)
      await cli.runMatchedCommand()
    } else if (!cli.options['help'] && !cli.options['version']) {
      const [name] = cli.args
      if (name !== undefined) throw unknownCommand(cli, name)
      cli.outputHelp()
    }
  } catch (error) {
    process.exitCode = 1
    console.error(isExpected(error) ? stripVTControlCharacters(error.message) : error)
  }
}

/** trtexec's options of `bench` in our spelling, which is printed once. */
async function withOurSpelling([node = '', script = '', ...args]: string[]): Promise<string[]> {
  if (args[0] !== 'bench') return [node, script, ...args]
  const { fromTrtexec } = await import('./cli/trtexec.ts')
  const translated = await fromTrtexec(args)
  if (translated) console.error(`unplugin-onnx ${translated.join(' ')}`)
  return [node, script, ...(translated ?? args)]
}

function unknownCommand({ commands }: CAC, name: string): OnnxEngineError {
  const names = commands.map((command) => command.name)
  return usageError(`'${name}' is not a command`, hintFor(name, names))
}

// A stack helps only the developers of this package: it is printed for errors that nobody expected.
function isExpected(error: unknown): error is Error {
  return error instanceof Error && (error instanceof OnnxEngineError || error.name === 'CACError' || 'syscall' in error)
}

await main(process.argv)

#!/usr/bin/env node
/**
 * The command `unplugin-onnx`. This file runs it and prints its errors; each command is a file in cli/, which adds
 * itself to the parser. cli/arguments.ts reads what the user typed, cli/reports.ts makes the text for the terminal.
 */
import { readFileSync } from 'node:fs'
import { stripVTControlCharacters } from 'node:util'
import { type CAC, cac } from 'cac'
import { OnnxEngineError } from '../runtime/errors.ts'
import { hintFor, refuseUnknownOptions, usageError } from './cli/arguments.ts'
import { addBuildCommand } from './cli/build.ts'
import { addCacheCommand } from './cli/cache.ts'
import { addDoctorCommand } from './cli/doctor.ts'
import { addExportCommand } from './cli/export.ts'
import { addInspectCommand } from './cli/inspect.ts'
import { addSetupCommand } from './cli/setup.ts'
import { addTypesCommand } from './cli/types.ts'
import { addVerifyCommand } from './cli/verify.ts'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

async function main(argv: string[]): Promise<void> {
  const cli = commands()
  try {
    cli.parse(argv, { run: false })
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

/** In the order of `--help`. */
function commands(): CAC {
  const cli = cac('unplugin-onnx')
  addBuildCommand(cli)
  addVerifyCommand(cli)
  addExportCommand(cli)
  addDoctorCommand(cli, version)
  addSetupCommand(cli)
  addInspectCommand(cli)
  addTypesCommand(cli)
  addCacheCommand(cli)
  return cli.help().version(version)
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

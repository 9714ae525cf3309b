import type { CAC, Command } from 'cac'
import { recordError } from '../../runtime/errors.ts'
import { resolveOptions } from '../options/resolve.ts'
import { linesOf, typesReport, typeSources } from '../types/sync.ts'
import { commandOptions } from './arguments.ts'
import { printResult } from './print.ts'
import { staleTypesReport } from './reports.ts'
import { optionText, optionTexts, usageError } from './usage.ts'
import { watchTypes } from './watch-types.ts'

interface TypesFlags {
  readonly check?: boolean
  readonly watch?: boolean
  readonly json?: boolean
}

/** `unplugin-onnx types`: writes the types of imported models, once, as a check, or after each change. */
export function addTypesCommand(command: Command, cli: CAC): void {
  command
    .option('--root <dir>', 'Folder of tsconfig.json (default: the current folder)')
    .option('--types-dir <dir>', 'Generated folder, if the option types.dir of the plugin is set')
    .option('--check', 'Write nothing, and fail when the types are stale')
    .option('--watch', 'Write them again whenever a source or a model changes')
    .option('--json', optionTexts.json)
    .action((flags: TypesFlags) => runTypes(cli, flags))
}

async function runTypes(cli: CAC, { check = false, watch = false, json }: TypesFlags): Promise<void> {
  if (watch && (check || json))
    throw usageError(`--watch and ${check ? '--check' : '--json'} exclude each other`, 'Give one of them')
  const dir = optionText(cli, 'types-dir')
  const readOptions = () => resolveOptions(commandOptions(cli, { types: dir === undefined ? undefined : { dir } }))
  if (watch) return watchTypes(readOptions, { log: console.log, warn: console.error })
  const { notes, problems, ...sources } = await typeSources(readOptions(), { check })
  for (const line of linesOf({ notes, problems })) console.error(line)
  const isStale = sources.written.length + sources.removed.length > 0
  if (problems.length > 0 || (check && isStale)) process.exitCode = 1
  const data = { ...sources, problems: problems.map((error) => recordError(error, 'TYPES_FAILED')) }
  printResult(json, data, check ? staleTypesReport(sources) : typesReport(sources))
}

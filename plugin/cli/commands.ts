import { type CAC, cac } from 'cac'
import { addBenchCommand } from './bench.ts'
import { addBuildCommand } from './build.ts'
import { addCacheCommand } from './cache.ts'
import { addDoctorCommand } from './doctor.ts'
import { addExportCommand } from './export.ts'
import { addInspectCommand } from './inspect.ts'
import { addSetupCommand } from './setup.ts'
import { addTypesCommand } from './types.ts'
import { addVerifyCommand } from './verify.ts'

/** The parser with all commands, in the order of `--help`. `version` is that of this package. */
export function commands(version: string): CAC {
  const cli = cac('unplugin-onnx')
  addBuildCommand(cli)
  addVerifyCommand(cli)
  addBenchCommand(cli)
  addExportCommand(cli)
  addDoctorCommand(cli, version)
  addSetupCommand(cli)
  addInspectCommand(cli)
  addTypesCommand(cli)
  addCacheCommand(cli)
  return cli.help().version(version)
}

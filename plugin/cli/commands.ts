import { type CAC, cac } from 'cac'
import { addBenchCommand } from './bench.ts'
import { addBuildCommand } from './build.ts'
import { addCacheCommand } from './cache.ts'
import { addDoctorCommand, type OwnPackage } from './doctor.ts'
import { addExportCommand } from './export.ts'
import { addInitCommand } from './init.ts'
import { addInspectCommand } from './inspect.ts'
import { addSetupCommand } from './setup.ts'
import { addTypesCommand } from './types.ts'
import { addVerifyCommand } from './verify.ts'

/** The parser with all commands, in the order of `--help`. `own` is this package. */
export function commands(own: OwnPackage): CAC {
  const cli = cac('unplugin-onnx')
  addBuildCommand(cli)
  addVerifyCommand(cli)
  addBenchCommand(cli)
  addExportCommand(cli)
  addInitCommand(cli)
  addDoctorCommand(cli, own)
  addSetupCommand(cli)
  addInspectCommand(cli)
  addTypesCommand(cli)
  addCacheCommand(cli)
  return cli.help().version(own.version)
}

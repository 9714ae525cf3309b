import type { CAC, Command } from 'cac'
import { backendNames, precisions } from '../../runtime/manifest.ts'
import { compile, writeModel, writtenFiles } from '../api.ts'
import { queryKeys } from '../options/query.ts'
import { modelOptionsOf } from '../options/resolve.ts'
import { ioPrecisions } from '../options/types.ts'
import { modelCommandOptions, requestOf } from './arguments.ts'
import { printResult } from './print.ts'
import { optionText, optionTexts } from './usage.ts'

interface BuildFlags {
  readonly json?: boolean
  readonly verbose?: boolean
  readonly frozen?: boolean
}

/** `unplugin-onnx build`: compiles a model and writes its engines and manifest. */
export function addBuildCommand(command: Command, cli: CAC): void {
  command
    .option('--out <dir>', 'Folder for the engines and their manifest <name>.json (default: the current folder)')
    .option('--engine <precision>', `One of ${precisions.join(', ')}, or auto (default: fp32)`)
    .option(
      '--io <precision>',
      `Dtype of float32 inputs and outputs: one of ${ioPrecisions.join(', ')} (default: fp32)`,
    )
    .option('--backend <names>', `auto, or some of ${backendNames.join(',')}, the preferred one first (default: auto)`)
    .option('--target <names>', 'Compute capabilities, such as sm86,sm89')
    .option('--shapes <shapes>', 'Fixed dims, such as image:1x3x224x224,mask:1x224')
    .option('--min <shapes>', 'Lower bounds of an optimization profile')
    .option('--opt <shapes>', 'Dims that the profile is tuned for')
    .option('--max <shapes>', 'Upper bounds of the profile')
    .option('--samples <glob>', 'Samples for calibration, which int8 needs: .npy or .npz files, or a module')
    .option('--keep-onnx <dir>', optionTexts.keepOnnx)
    .option('--root <dir>', optionTexts.root)
    .option('--cache-dir <dir>', optionTexts.cacheDir)
    .option('--frozen', 'Fail instead of compiling an engine that the cache does not have')
    .option('--verbose', 'Print everything that the backends log')
    .option('--json', optionTexts.json)
    .action((file: string, flags: BuildFlags) => runBuild(cli, file, flags))
}

async function runBuild(cli: CAC, file: string, { json, verbose, frozen }: BuildFlags): Promise<void> {
  const { query } = requestOf(cli, file, queryKeys)
  const flags = {
    ...modelOptionsOf(query),
    calibration: optionText(cli, 'samples'),
    keepOnnx: optionText(cli, 'keep-onnx'),
  }
  const options = modelCommandOptions(cli, file, flags, { frozen })
  const compiled = await compile(file, options, { log: console.error, warn: console.error, verbose })
  const out = optionText(cli, 'out') ?? '.'
  const manifest = await writeModel(compiled, out)
  printResult(json, { manifest, written: writtenFiles(compiled, out), ...compiled }, manifest)
}

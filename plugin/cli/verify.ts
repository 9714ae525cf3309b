import type { CAC } from 'cac'
import { precisions } from '../../runtime/manifest.ts'
import { compile } from '../api.ts'
import { modelOptionsOf } from '../options/resolve.ts'
import { oneOf, validate } from '../options/validators.ts'
import { modelCommandOptions, optionText, optionTexts, requestOf } from './arguments.ts'
import { printResult } from './print.ts'

/** `unplugin-onnx verify`: compares an engine with the fp32 model. */
export function addVerifyCommand(cli: CAC): void {
  cli
    .command(
      'verify <model>',
      'Compare an engine of lower precision with the fp32 model; fails when it differs too much or cannot be compared',
    )
    .option('--engine <precision>', `One of ${loweredPrecisions.join(', ')} (default: fp16)`)
    .option('--io <precision>', 'As for build')
    .option('--backend <names>', 'As for build')
    .option('--target <names>', 'As for build')
    .option('--shapes <shapes>', 'Dims of random inputs, such as image:1x3x224x224')
    .option(
      '--samples <glob>',
      'Samples for the comparison and for the calibration of int8: .npy or .npz files, or a module ' +
        '(default: random inputs)',
    )
    .option('--atol <number>', 'Each element may differ by atol + rtol * |expected|')
    .option('--rtol <number>', 'See --atol')
    .option('--cosine <number>', 'Lowest cosine similarity that an output may have')
    .option('--argmax <share>', 'Lowest share of rows, from 0 to 1, that must keep the position of their maximum')
    .option('--keep-onnx <dir>', optionTexts.keepOnnx)
    .option('--root <dir>', optionTexts.root)
    .option('--cache-dir <dir>', optionTexts.cacheDir)
    .option('--json', optionTexts.json)
    .action((file: string, flags: { json?: boolean }) => runVerify(cli, file, flags))
}

const loweredPrecisions = precisions.slice(1)

async function runVerify(cli: CAC, file: string, { json }: { json?: boolean }): Promise<void> {
  const { query } = requestOf(cli, file, ['backend', 'io', 'target', 'shapes'])
  const wanted = optionText(cli, 'engine') ?? 'fp16'
  const engine = validate(oneOf(loweredPrecisions), wanted, 'OPTION_INVALID', () => 'unplugin-onnx verify --engine')
  const samples = optionText(cli, 'samples')
  const limits = limitsOf(cli)
  const isSet = samples !== undefined || Object.keys(limits).length > 0
  const options = modelCommandOptions(cli, file, {
    ...modelOptionsOf(query),
    engine,
    ...(isSet && { verify: { samples, ...limits } }),
    ...(engine === 'int8' && { calibration: samples }),
    keepOnnx: optionText(cli, 'keep-onnx'),
  })
  const lines: string[] = []
  const { variants } = await compile(file, options, { log: (line) => lines.push(line), warn: console.error })
  // A comparison that was skipped is no success to a script; the printed line explains it.
  const isCompared = variants.every(({ report }) => report?.verification && !report.verification.skipped)
  if (!isCompared) process.exitCode = 1
  const reports = variants.map(({ backend, report }) => ({ backend, engine, ...report }))
  printResult(json, reports, lines.join('\n'))
}

function limitsOf(cli: CAC): Readonly<Record<string, number>> {
  const limits = ['atol', 'rtol', 'cosine', 'argmax'].flatMap((name) => {
    const text = optionText(cli, name)
    return text === undefined ? [] : [[name, Number(text)] as const]
  })
  return Object.fromEntries(limits)
}

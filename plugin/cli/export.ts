import { resolve } from 'node:path'
import type { CAC, Command } from 'cac'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { precisions } from '../../runtime/manifest.ts'
import { openStore } from '../cache/store.ts'
import { modelName } from '../convert/find-rule.ts'
import { exportModel, exportTargets } from '../export/export-model.ts'
import { tritonBackends } from '../export/triton-config.ts'
import { queryKeys } from '../options/query.ts'
import { compileOptions, modelOptionsOf, resolveOptions } from '../options/resolve.ts'
import { ioPrecisions } from '../options/types.ts'
import { oneOf, validate } from '../options/validators.ts'
import { modelCommandOptions, requestOf } from './arguments.ts'
import { convertedFile } from './converted-file.ts'
import { printResult } from './print.ts'
import { optionText, optionTexts, usageError } from './usage.ts'

/** `unplugin-onnx export`: writes a model for an inference server. */
export function addExportCommand(command: Command, cli: CAC): void {
  command
    .option('--triton <dir>', 'Model repository of Triton to add the model to')
    .option('--kserve <dir>', 'Folder for the model and the script that serves it with KServe')
    .option('--mlserver <dir>', 'Folder of models of MLServer to add the model to')
    .option('--name <name>', 'Name of the model on the server (default: the name of the file)')
    .option('--model-version <number>', 'Its version (default: 1)')
    .option('--backend <name>', `Backend of Triton: one of ${tritonBackends.join(', ')} (default: onnxruntime)`)
    .option('--engine <precision>', `One of ${precisions.join(', ')} (default: fp32)`)
    .option('--io <precision>', `Dtype of float32 inputs and outputs: one of ${ioPrecisions.join(', ')}`)
    .option('--shapes <shapes>', 'Fixed dims, such as image:1x3x224x224')
    .option('--min <shapes>', 'Lower bounds of an optimization profile, for TensorRT')
    .option('--opt <shapes>', 'Dims that the profile is tuned for')
    .option('--max <shapes>', 'Upper bounds of the profile')
    .option('--samples <glob>', 'Samples for calibration, which int8 needs')
    .option('--max-batch <number>', 'max_batch_size of Triton; 0 for no batching (default: as the model allows)')
    .option('--instances <number>', 'Instances of the model in Triton (default: 1)')
    .option('--threads <number>', 'Threads of one inference of ONNX Runtime')
    .option('--gpu', 'Run on GPUs (default: on the CPU; tensorrt always runs on GPUs)')
    .option('--root <dir>', optionTexts.root)
    .option('--cache-dir <dir>', optionTexts.cacheDir)
    .option('--json', optionTexts.json)
    .action((file: string, flags: ExportFlags) => runExport(cli, file, flags))
}

interface ExportFlags {
  readonly json?: boolean
  readonly gpu?: boolean
}

async function runExport(cli: CAC, file: string, { json, gpu = false }: ExportFlags): Promise<void> {
  const targets = exportTargets.filter((target) => optionText(cli, target) !== undefined)
  const [target] = targets
  if (target === undefined || targets.length > 1)
    throw usageError('unplugin-onnx export', 'Give one of --triton, --kserve and --mlserver')
  // The backend here is that of the server, not the one of a query.
  const keys = queryKeys.filter((key) => key !== 'backend' && key !== 'target')
  const request = requestOf(cli, file, keys)
  const flags = { ...modelOptionsOf(request.query), calibration: optionText(cli, 'samples') }
  const resolved = resolveOptions(modelCommandOptions(cli, file, flags))
  const path = resolve(file)
  const backend = validate(
    oneOf(tritonBackends),
    optionText(cli, 'backend') ?? 'onnxruntime',
    'OPTION_INVALID',
    () => 'unplugin-onnx export --backend',
  )
  const store = openStore({ ...resolved.cache, warn: console.error })
  const options = compileOptions(resolved, { file: path, query: {} })
  if (options.fastest) throw notMeasured(target)
  const files = await exportModel({
    target,
    folder: optionText(cli, target) ?? '',
    file: await convertedFile(path, resolved, store),
    options,
    root: resolved.root,
    store,
    name: optionText(cli, 'name') ?? modelName(path, resolved.convert),
    version: count(cli, 'model-version', 1) ?? 1,
    backend,
    gpu: gpu || backend === 'tensorrt',
    maxBatch: count(cli, 'max-batch', 0),
    instances: count(cli, 'instances', 1) ?? 1,
    threads: count(cli, 'threads', 1),
    log: console.error,
    warn: console.error,
  })
  printResult(json, { files }, files.join('\n'))
}

function count(cli: CAC, name: string, least: number): number | undefined {
  const text = optionText(cli, name)
  if (text === undefined) return undefined
  if (!/^\d{1,9}$/.test(text) || Number(text) < least)
    throw usageError(`--${name} ${text}`, `Give a whole number from ${least}`)
  return Number(text)
}

// The server's machine is another one.
function notMeasured(target: string): OnnxEngineError {
  return new OnnxEngineError('OPTION_INVALID', `unplugin-onnx export --${target}: engine`, {
    expected: `one of ${precisions.join(', ')}`,
    received: 'auto, which measures this machine instead of the server',
    hint: 'Name the precision by --engine',
  })
}

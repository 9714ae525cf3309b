import type { CAC, Command } from 'cac'
import { type BackendName, backendNames, type Precision, precisions } from '../../runtime/manifest.ts'
import { modelOptionsOf } from '../options/resolve.ts'
import { oneOf, validate } from '../options/validators.ts'
import { runsHere } from '../verify/request.ts'
import { modelCommandOptions, requestOf } from './arguments.ts'
import { type ComparedEngine, compareEngines } from './compare-engines.ts'
import { engineText } from './comparison-text.ts'
import { printResult } from './print.ts'
import { optionText, optionTexts, usageError } from './usage.ts'

/** The command builds for Node.js, where no engine of a page is made. */
const opponents = [...runsHere].filter((backend) => backend !== 'wasm')

/** `unplugin-onnx verify`: compares engines with the fp32 model, or with another engine. */
export function addVerifyCommand(command: Command, cli: CAC): void {
  command
    .option('--engine <precision>', `One of ${precisions.join(', ')} (default: fp32)`)
    .option('--against <engine>', againstText)
    .option('--all-nodes', 'Compare every value inside the model too, and mark the first node that differs')
    .option('--save <dir>', 'Folder for the inputs and outputs as .npz files; with --all-nodes, for all values')
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
    .action((file: string, flags: VerifyFlags) => runVerify(cli, file, flags))
}

interface VerifyFlags {
  readonly json?: boolean
  readonly allNodes?: boolean
}

const againstText =
  `What to compare with: ${opponents.join(' or ')}, with a precision if it is not fp32, such as ` +
  'onnxruntime:fp16 (default: onnxruntime:fp32, which is the model itself)'

/** The exit code of the worst engine: what differs is more certain than what could not be compared. */
const exitCodes = { same: 0, unknown: 1, differs: 2 } as const

async function runVerify(cli: CAC, file: string, { json, allNodes = false }: VerifyFlags): Promise<void> {
  const { query } = requestOf(cli, file, ['backend', 'io', 'target', 'shapes'])
  const engine = precisionOf(optionText(cli, 'engine') ?? 'fp32', '--engine')
  const other = againstOf(optionText(cli, 'against') ?? 'onnxruntime')
  const samples = optionText(cli, 'samples')
  const limits = limitsOf(cli)
  const isSet = samples !== undefined || Object.keys(limits).length > 0
  const shared = {
    ...modelOptionsOf(query),
    ...(isSet && { verify: { samples, ...limits } }),
    keepOnnx: optionText(cli, 'keep-onnx'),
  }
  const optionsFor = (precision: Precision, flags: object = {}) => {
    const calibration = precision === 'int8' ? samples : undefined
    return modelCommandOptions(cli, file, { ...shared, engine: precision, calibration, ...flags })
  }
  const options = optionsFor(engine)
  const opponent = other && optionsFor(other.engine, { precision: {}, backends: [other.backend] })
  const save = optionText(cli, 'save')
  const compared = await compareEngines(file, { options, against: opponent, allNodes, save })
  process.exitCode = Math.max(...compared.map((one) => exitCodes[verdictOf(one)]))
  printResult(json, compared.map(jsonOf), compared.map(engineText).join('\n'))
}

interface Against {
  readonly backend: BackendName
  readonly engine: Precision
}

/** 'openvino', 'onnxruntime:fp16'. Undefined for ONNX Runtime in fp32: that is the model itself. */
function againstOf(text: string): Against | undefined {
  const [name = '', precision = 'fp32', ...more] = text.split(':')
  if (more.length > 0) throw usageError(`${against}: '${text}'`, `Write it as 'onnxruntime:fp16'`)
  if (isGpuBackend(name))
    throw usageError(`${against}: engines of ${name} are not run at build time`, `Give it as '--backend'`)
  const backend = validate(oneOf(opponents), name, 'OPTION_INVALID', () => against)
  const engine = precisionOf(precision, '--against')
  return backend === 'onnxruntime' && engine === 'fp32' ? undefined : { backend, engine }
}

const against = 'unplugin-onnx verify --against'

function precisionOf(text: string, option: string): Precision {
  return validate(oneOf(precisions), text, 'OPTION_INVALID', () => `unplugin-onnx verify ${option}`)
}

function isGpuBackend(name: string): boolean {
  return backendNames.some((backend) => backend === name && !runsHere.has(backend))
}

function verdictOf({ verification }: ComparedEngine): keyof typeof exitCodes {
  if (verification && verification.failures.length > 0) return 'differs'
  return !verification || verification.skipped !== undefined ? 'unknown' : 'same'
}

function jsonOf({ request, against, lowering, verification, nodes, saved }: ComparedEngine): object {
  const { backend, label, options } = request
  return { backend, engine: options.engine, label, against, lowering, verification, nodes, saved }
}

function limitsOf(cli: CAC): Readonly<Record<string, number>> {
  const limits = ['atol', 'rtol', 'cosine', 'argmax'].flatMap((name) => {
    const text = optionText(cli, name)
    return text === undefined ? [] : [[name, Number(text)] as const]
  })
  return Object.fromEntries(limits)
}

import { readFile, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { CAC, Command } from 'cac'
import { textOf } from '../../runtime/errors.ts'
import { backendNames, precisions } from '../../runtime/manifest.ts'
import { writeModel } from '../api.ts'
import { compareReports, hasFigures, parseReport, rowsAbove } from '../bench/compare-reports.ts'
import { findContenders } from '../bench/contenders.ts'
import type { BenchReport, InputOrigin } from '../bench/contract.ts'
import { keepFigures } from '../bench/kept-figures.ts'
import { type BenchProgress, type BenchSettings, runBench } from '../bench/run-bench.ts'
import { openStore } from '../cache/store.ts'
import { compileOptions, modelOptionsOf, resolveOptions } from '../options/resolve.ts'
import type { Options } from '../options/types.ts'
import { oneOf, validate } from '../options/validators.ts'
import { colouredPaint } from '../terminal/colour.ts'
import { isInteractive, liveLines } from '../terminal/live.ts'
import { commandOptions, modelCommandOptions, requestOf } from './arguments.ts'
import { benchText, comparisonText, progressText, rowText } from './bench-tables.ts'
import { printResult } from './print.ts'
import { optionText, optionTexts, usageError } from './usage.ts'

/** `unplugin-onnx bench`: measures the engines of a model side by side. */
export function addBenchCommand(command: Command, cli: CAC): void {
  command
    .option('--engine <list>', `Some of ${precisions.join(',')} (default: that of the options, or fp32)`)
    .option('--backend <names>', `all, or some of ${backendNames.join(',')} (default: all that are installed)`)
    .option('--target <names>', 'As for build')
    .option('--shapes <shapes>', 'As for build')
    .option('--min <shapes>', 'As for build')
    .option('--opt <shapes>', 'As for build; the inputs have these dims')
    .option('--max <shapes>', 'As for build')
    .option('--samples <glob>', 'Samples for the calibration of int8')
    .option('--out <dir>', 'Write the engines and their manifests too')
    .option('--warmup <ms>', 'Milliseconds that do not count (default: 200)')
    .option('--duration <s>', 'Seconds to measure each row, at least (default: 3)')
    .option('--iterations <n>', 'Inferences to measure in each row, at least (default: 10)')
    .option('--concurrency <list>', 'Callers at once, such as 1,4,16; each number is a row (default: 1)')
    .option('--threads <n>', `Threads of one inference (default: the backend's own choice)`)
    .option('--device <n>', 'Index of the GPU (default: 0)')
    .option(
      '--input <values>',
      'random, zeros, or a .npy or .npz file; <name>.npy for several inputs (default: random)',
    )
    .option('--against <library>', 'onnxruntime-node: measure the plain library as a row')
    .option('--save <file>', 'Write the report as JSON')
    .option('--compare <file>', 'Compare with a saved report')
    .option('--fail-above <ratio>', 'With --compare: fail when a row is this many times as slow, noise aside')
    .option('--root <dir>', optionTexts.root)
    .option('--cache-dir <dir>', optionTexts.cacheDir)
    .option('--json', optionTexts.json)
    .action((file: string, flags: { json?: boolean }) => runBenchCommand(cli, file, flags))
}

async function runBenchCommand(cli: CAC, file: string, { json }: { json?: boolean }): Promise<void> {
  const limit = failAbove(cli)
  const before = await savedReport(cli)
  const options = optionsOf(cli, file)
  const { engine } = compileOptions(resolveOptions(options), { file: resolve(file), query: {} })
  const engines = listOf(cli, 'engine', engine).map((name) => validate(oneOf(precisions), name, ...invalid('--engine')))
  const against = optionText(cli, 'against')
  if (against !== undefined) validate(oneOf(['onnxruntime-node']), against, ...invalid('--against'))
  const { settings, load } = settingsOf(cli, file, options)
  const request = { model: file, precisions: engines, options, againstPlain: against !== undefined, load }
  const print = { log: console.error, warn: console.error }
  const found = await findContenders(request, print)
  const out = optionText(cli, 'out')
  if (out !== undefined) for (const compiled of found.compiled) await writeModel(compiled, out)
  const report = await withProgress((show) => runBench(found, settings, show))
  const { cache } = resolveOptions(options)
  // What was measured is worth more than what is kept of it.
  await keepFigures(openStore({ ...cache, warn: console.error }), found.contenders, report).catch((error: unknown) =>
    console.error(`the figures are not kept for \`unplugin-onnx view\`: ${textOf(error)}`),
  )
  const comparison = before && compareReports(before, report)
  const save = optionText(cli, 'save')
  if (save !== undefined) await writeFile(save, `${JSON.stringify(report, null, 2)}\n`)
  const paint = colouredPaint(process.stdout)
  const texts = [benchText(report, paint), ...(comparison ? ['', comparisonText(comparison, paint)] : [])]
  printResult(json, comparison ? { ...report, comparison } : report, texts.join('\n'))
  const isSlower = comparison && limit !== undefined && rowsAbove(comparison, limit).length > 0
  if (isSlower || !hasFigures(report)) process.exitCode = 1
}

/** Options of the compilation. The engines of a manifest are as they are: only the dims of its inputs can be chosen. */
function optionsOf(cli: CAC, file: string): Options {
  if (file.endsWith('.json')) {
    for (const name of buildFlags)
      if (optionText(cli, name) !== undefined)
        throw usageError(`--${name} does not apply to ${file}`, 'Its engines are built already. Give the .onnx file')
    const { query } = requestOf(cli, 'model.onnx', ['shapes'])
    return commandOptions(cli, modelOptionsOf(query))
  }
  const keys = ['target', 'shapes', 'min', 'opt', 'max', ...(optionText(cli, 'backend') === 'all' ? [] : ['backend'])]
  const { query } = requestOf(cli, file, keys)
  return modelCommandOptions(cli, file, { ...modelOptionsOf(query), calibration: optionText(cli, 'samples') })
}

const buildFlags = ['engine', 'backend', 'target', 'min', 'opt', 'max', 'samples', 'out'] as const

function settingsOf(cli: CAC, file: string, options: Options) {
  const resolved = resolveOptions(options)
  const { shapes, profiles } = compileOptions(resolved, { file: resolve(file), query: {} })
  const threads = numberOf(cli, 'threads', { least: 1, whole: true })
  const device = numberOf(cli, 'device', { least: 0, whole: true })
  const settings: BenchSettings = {
    amount: {
      warmup: numberOf(cli, 'warmup', { least: 0 }) ?? 200,
      milliseconds: 1000 * (numberOf(cli, 'duration', { least: 0 }) ?? 3),
      calls: numberOf(cli, 'iterations', { least: 1, whole: true }) ?? 10,
    },
    concurrency: listOf(cli, 'concurrency', '1').map((text) =>
      parseNumber(text, 'concurrency', { least: 1, whole: true }),
    ),
    origin: originOf(optionText(cli, 'input') ?? 'random'),
    options: { shapes, profiles },
    root: process.cwd(),
  }
  return { settings, load: { ...(threads !== undefined && { threads }), ...(device !== undefined && { device }) } }
}

function originOf(text: string): InputOrigin {
  return text === 'random' || text === 'zeros' ? text : { samples: text }
}

/** Runs with a live table in a terminal, and with a line for each row that ends elsewhere. */
async function withProgress<T>(run: (show: (progress: BenchProgress) => void) => Promise<T>): Promise<T> {
  if (isInteractive(process.stderr)) {
    const live = liveLines(process.stderr)
    try {
      return await run((progress) => live.show(progressText(progress, process.stderr.columns)))
    } finally {
      live.clear()
    }
  }
  const printed = new Set<string>()
  return run(({ rows }) => {
    for (const row of rows) {
      const name = rowText(row)
      if (row.done < 1 || printed.has(name)) continue
      printed.add(name)
      console.error(row.failed === undefined ? `${name}: ${row.median.toPrecision(3)} ms` : `${name}: not measured`)
    }
  })
}

function failAbove(cli: CAC): number | undefined {
  const limit = numberOf(cli, 'fail-above', { least: 0 })
  if (limit !== undefined && optionText(cli, 'compare') === undefined)
    throw usageError('--fail-above needs something to compare with', 'Give a saved report with --compare')
  return limit
}

async function savedReport(cli: CAC): Promise<BenchReport | undefined> {
  const file = optionText(cli, 'compare')
  return file === undefined ? undefined : parseReport(file, await readFile(file, 'utf8'))
}

function listOf(cli: CAC, name: string, otherwise: string): readonly string[] {
  return [...new Set((optionText(cli, name) ?? otherwise).split(',').map((text) => text.trim()))]
}

interface NumberRule {
  readonly least: number
  readonly whole?: boolean
}

function numberOf(cli: CAC, name: string, rule: NumberRule): number | undefined {
  const text = optionText(cli, name)
  return text === undefined ? undefined : parseNumber(text, name, rule)
}

function parseNumber(text: string, name: string, { least, whole = false }: NumberRule): number {
  const value = Number(text)
  if (text.trim() !== '' && value >= least && value < 1e9 && (!whole || Number.isInteger(value))) return value
  throw usageError(`--${name} ${text}`, `Give a ${whole ? 'whole ' : ''}number from ${least}`)
}

function invalid(flag: string) {
  return ['OPTION_INVALID', () => `unplugin-onnx bench ${flag}`] as const
}

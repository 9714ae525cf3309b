#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { type CAC, cac } from 'cac'
import { OnnxEngineError, recordError } from '../runtime/errors.ts'
import { precisions, backendNames } from '../runtime/manifest.ts'
import { compile, writeModel } from './api.ts'
import { openStore } from './cache/store.ts'
import { refuseUnknownOptions, usageError, hintFor, wish, typed, placeOf } from './cli/arguments.ts'
import { cacheVerbs, verbNames } from './cli/cache.ts'
import { type InstallableName, installables } from './cli/installables.ts'
import { print } from './cli/print.ts'
import { doctorReport, modelReport, staleTypesReport } from './cli/reports.ts'
import { listSetUp, removeSetUp, setUp, type SetupFlags } from './cli/setup-command.ts'
import { watchTypes } from './cli/watch-types.ts'
import { allBackends } from './compile/backends.ts'
import { readModel } from './onnx/model.ts'
import { queryKeys, parseRequest } from './options/query.ts'
import { modelOptionsOf, resolveOptions } from './options/resolve.ts'
import { ioPrecisions, type Options } from './options/types.ts'
import { validate, oneOf } from './options/validators.ts'
import { typeSources, linesOf, typesReport } from './types/sync.ts'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

const installableNames = Object.keys(installables) as InstallableName[]

const rootText = 'Folder of the app (default: the current folder)'

const cacheText = 'The option cache.dir of the plugin, when it is set'

async function main(argv: string[]): Promise<void> {
  const cli = commands()
  try {
    cli.parse(argv, { run: false })
    if (cli.matchedCommand) {
      refuseUnknownOptions(cli)
      await cli.runMatchedCommand()
    } else if (!cli.options['help'] && !cli.options['version']) {
      const [name] = cli.args
      if (name !== undefined)
        throw usageError(
          `'${name}' is not a command`,
          hintFor(
            name,
            cli.commands.map((command) => command.name),
          ),
        )
      cli.outputHelp()
    }
  } catch (error) {
    process.exitCode = 1
    // A stack helps nobody but us: it is shown for what we did not foresee.
    const foreseen =
      error instanceof Error && (error instanceof OnnxEngineError || error.name === 'CACError' || 'syscall' in error)
    console.error(foreseen ? stripVTControlCharacters(error.message) : error)
  }
}

function commands(): CAC {
  const cli = cac('unplugin-onnx')

  cli
    .command('build <model>', 'Compile a model without a bundler, for loadModel() of unplugin-onnx/runtime')
    .option('--out <dir>', 'Folder for the engines and their manifest <name>.json (default: the current folder)')
    .option('--engine <precision>', `One of ${precisions.join(', ')} (default: fp32)`)
    .option(
      '--io <precision>',
      `What float32 inputs and outputs become: one of ${ioPrecisions.join(', ')} (default: fp32)`,
    )
    .option('--backend <names>', `In order of preference: auto, or some of ${backendNames.join(',')} (default: auto)`)
    .option('--target <names>', 'Compute capabilities, such as sm86,sm89')
    .option('--shapes <shapes>', 'Fixed dims, such as image:1x3x224x224,mask:1x224')
    .option('--min <shapes>', 'Lower bounds of an optimization profile')
    .option('--opt <shapes>', 'What the profile is tuned for')
    .option('--max <shapes>', 'Upper bounds of the profile')
    .option(
      '--samples <glob>',
      'Samples that tell the ranges of values, which int8 needs: .npy or .npz files, or a module',
    )
    .option('--keep-onnx <dir>', 'Folder that the lowered graph and its report are written to')
    .option('--root <dir>', rootText)
    .option('--cache-dir <dir>', cacheText)
    .option('--verbose', 'Print all that the backends log')
    .option('--json', 'Print JSON')
    .action(async (file: string, { json, verbose }: { json?: boolean; verbose?: boolean }) => {
      const query = queryKeys.flatMap((key) => wish(key, typed(cli, key))).join('&')
      // The name stands for the file in messages; a file may have '?' in its path where an import cannot.
      const request = parseRequest(`${basename(file).replaceAll('?', '%3F')}?${query}`)
      if (request === undefined) throw usageError(`'${file}' is not an .onnx file`, 'Give the path of a model')
      const options = {
        ...modelOptionsOf(request.query),
        calibration: typed(cli, 'samples'),
        keepOnnx: typed(cli, 'keep-onnx'),
        ...placeOf(cli),
      } as Options
      const compiled = await compile(file, options, { log: console.error, warn: console.error, verbose })
      const manifest = await writeModel(compiled, typed(cli, 'out') ?? '.')
      print(json, { manifest, ...compiled }, manifest)
    })

  cli
    .command(
      'verify <model>',
      'Compare an engine of lower precision with the fp32 model; fails when it is too far, or cannot be compared',
    )
    .option('--engine <precision>', `One of ${precisions.slice(1).join(', ')} (default: fp16)`)
    .option('--io <precision>', 'As for build')
    .option('--backend <names>', 'As for build')
    .option('--target <names>', 'As for build')
    .option('--shapes <shapes>', 'Dims of random inputs, such as image:1x3x224x224')
    .option(
      '--samples <glob>',
      'Samples to compare on, and to calibrate int8 with: .npy or .npz files, or a module (default: random inputs)',
    )
    .option('--atol <number>', 'Each element may differ by atol + rtol * |expected|')
    .option('--rtol <number>', 'See --atol')
    .option('--cosine <number>', 'Least cosine of an output')
    .option('--argmax <share>', 'Least share of rows, from 0 to 1, whose largest element is the same')
    .option('--keep-onnx <dir>', 'Folder that the lowered graph and its report are written to')
    .option('--root <dir>', rootText)
    .option('--cache-dir <dir>', cacheText)
    .option('--json', 'Print JSON')
    .action(async (file: string, { json }: { json?: boolean }) => {
      const query = ['backend', 'io', 'target', 'shapes'].flatMap((key) => wish(key, typed(cli, key))).join('&')
      const request = parseRequest(`${basename(file).replaceAll('?', '%3F')}?${query}`)
      if (request === undefined) throw usageError(`'${file}' is not an .onnx file`, 'Give the path of a model')
      const limits = ['atol', 'rtol', 'cosine', 'argmax']
        .map((key) => [key, typed(cli, key)])
        .filter(([, text]) => text !== undefined)
      const samples = typed(cli, 'samples')
      const verify = { samples, ...Object.fromEntries(limits.map(([key, text]) => [key, Number(text)])) }
      const engine = validate(
        oneOf(precisions.slice(1)),
        typed(cli, 'engine') ?? 'fp16',
        'OPTION_INVALID',
        () => 'unplugin-onnx verify --engine',
      )
      const options = {
        ...modelOptionsOf(request.query),
        engine,
        verify,
        ...(engine === 'int8' && { calibration: samples }),
        keepOnnx: typed(cli, 'keep-onnx'),
        ...placeOf(cli),
      } as Options
      const lines: string[] = []
      const { variants } = await compile(file, options, { log: (line) => lines.push(line), warn: console.error })
      // The line says why; a script must not take it for a success.
      if (variants.some(({ report }) => !report?.verification || report.verification.skipped !== undefined))
        process.exitCode = 1
      print(
        json,
        variants.map(({ backend, report }) => ({ backend, engine, ...report })),
        lines.join('\n'),
      )
    })

  cli
    .command('doctor', 'Tell which backends are found here, and what is missing')
    .option('--root <dir>', rootText)
    .option('--cache-dir <dir>', cacheText)
    .option('--json', 'Print JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const options = resolveOptions(placeOf(cli))
      const entries = await openStore({ ...options.cache, warn: console.error }).list()
      const diagnosis = {
        version,
        node: process.versions.node,
        platform: process.platform,
        arch: process.arch,
        backends: await Promise.all(
          (await allBackends()).map(async (backend) => ({
            name: backend.name,
            ...(await backend.probe(options, options.root)),
          })),
        ),
        cache: {
          dir: options.cache.dir,
          engines: entries.length,
          bytes: entries.reduce((sum, { size }) => sum + size, 0),
        },
      }
      if (!diagnosis.backends.some(({ available }) => available)) process.exitCode = 1
      print(json, diagnosis, doctorReport(diagnosis))
    })

  cli
    .command(
      'setup [library]',
      `Download an engine library into the user's cache folder: ${installableNames.join(', ')}`,
    )
    .option('--release <number>', 'Release of the library: 10 or 11 of tensorrt (default: 11)')
    .option('--from <file>', 'Unpack an archive that you have (.zip, .jar, .whl, .tar.gz) instead of a download')
    .option('--index-url <url>', `Python package index to download from (default: pip's own)`)
    .option('--accept-license', 'You have read the license of the library and agree to it (tensorrt-rtx, tensorrt)')
    .option('--list', 'List what is set up')
    .option('--remove', 'Remove what is set up of the library')
    .option('--json', 'Print JSON')
    .action(async (name: string | undefined, flags: SetupFlags) => {
      if (flags.list) return listSetUp(flags)
      const library = validate(oneOf(installableNames), name, 'OPTION_INVALID', () => 'unplugin-onnx setup')
      if (flags.remove) return removeSetUp(library, flags)
      await setUp(library, {
        ...flags,
        release: typed(cli, 'release'),
        from: typed(cli, 'from'),
        indexUrl: typed(cli, 'index-url'),
      })
    })

  cli
    .command('inspect <model>', 'Print the inputs, outputs, opsets and weights of a model')
    .option('--json', 'Print JSON')
    .action(async (file: string, { json }: { json?: boolean }) => {
      const model = await readModel(file)
      print(json, model, modelReport(model))
    })

  cli
    .command('types', 'Write the types of every model that the sources import, without a bundler')
    .option('--root <dir>', 'Folder of tsconfig.json (default: the current folder)')
    .option('--types-dir <dir>', 'The option types.dir of the plugin, when it is set')
    .option('--check', 'Write nothing, and fail when the types are stale')
    .option('--watch', 'Write them again whenever a source or a model changes')
    .option('--json', 'Print JSON')
    .action(async ({ check = false, watch = false, json }: { check?: boolean; watch?: boolean; json?: boolean }) => {
      if (watch && (check || json))
        throw usageError(`--watch and ${check ? '--check' : '--json'} exclude each other`, 'Give one of them')
      const options = resolveOptions({ root: typed(cli, 'root'), types: { dir: typed(cli, 'types-dir') } })
      if (watch) return watchTypes(options, { log: console.log, warn: console.error })
      const { notes, problems, ...found } = await typeSources(options, { check })
      for (const line of linesOf({ notes, problems })) console.error(line)
      if (problems.length > 0 || (check && found.written.length + found.removed.length > 0)) process.exitCode = 1
      const data = { ...found, problems: problems.map((error) => recordError(error, 'TYPES_FAILED')) }
      print(json, data, check ? staleTypesReport(found) : typesReport(found))
    })

  cli
    .command(
      'cache <verb> [import]',
      'ls: list engines, why: why an import has its engine, verify: look for damage, clean: remove all',
    )
    .option('--root <dir>', rootText)
    .option('--cache-dir <dir>', cacheText)
    .option('--json', 'Print JSON')
    .action(async (verb: string, name: string | undefined, { json }: { json?: boolean }) => {
      const { cache } = resolveOptions(placeOf(cli))
      const store = openStore({ ...cache, warn: console.error })
      const { data, text } = await cacheVerbs[
        validate(oneOf(verbNames), verb, 'OPTION_INVALID', () => 'unplugin-onnx cache')
      ](store, cache.dir, name)
      print(json, data, text)
    })

  return cli.help().version(version)
}

/** One value on stdout, and nothing else, whichever form was asked for. */
await main(process.argv)

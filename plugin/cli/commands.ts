import { type CAC, cac, type Command } from 'cac'
import type { OwnPackage } from './doctor.ts'

/** Adds the options of a command, and what it does. */
type AddCommand = (command: Command, cli: CAC, own: OwnPackage) => void

/** A command: its file is loaded when it is used. */
interface ListedCommand {
  readonly usage: string
  readonly description: string
  load(): Promise<AddCommand>
}

/** In the order of `--help`. */
const list: readonly ListedCommand[] = [
  {
    usage: 'build <model>',
    description: 'Compile a model without a bundler, for loadModel() of unplugin-onnx/runtime',
    load: async () => (await import('./build.ts')).addBuildCommand,
  },
  {
    usage: 'verify <model>',
    description:
      'Compare engines with the fp32 model or with another engine. Exits with 2 if one differs too much, and with 1 ' +
      'if one cannot be compared',
    load: async () => (await import('./verify.ts')).addVerifyCommand,
  },
  {
    usage: 'bench <model>',
    description: 'Measure the engines of a model (.onnx, or the .json of a build) side by side, in turn',
    load: async () => (await import('./bench.ts')).addBenchCommand,
  },
  {
    usage: 'export <model>',
    description: 'Write a model for an inference server, which connectServer() then calls',
    load: async () => (await import('./export.ts')).addExportCommand,
  },
  {
    usage: 'init',
    description: 'Add the plugin to the bundler of an app, its tsconfig.json and its .gitignore',
    load: async () => (await import('./init.ts')).addInitCommand,
  },
  {
    usage: 'doctor',
    description: 'Show what is installed on this machine, and what this app lacks',
    load: async () => (await import('./doctor.ts')).addDoctorCommand,
  },
  {
    usage: 'setup [library]',
    description: `Download an engine library into the user's cache folder`,
    load: async () => (await import('./setup.ts')).addSetupCommand,
  },
  {
    usage: 'inspect <file>',
    description: 'Describe a model, an engine, a manifest or the output folder of a build',
    load: async () => (await import('./inspect.ts')).addInspectCommand,
  },
  {
    usage: 'view [path]',
    description: 'Show a model, or the models of a folder, and their engines in a browser',
    load: async () => (await import('./view.ts')).addViewCommand,
  },
  {
    usage: 'types',
    description: 'Write the types of every model that the sources import, without a bundler',
    load: async () => (await import('./types.ts')).addTypesCommand,
  },
  {
    usage: 'cache <verb> [import]',
    description: 'ls: list engines, why: why an import has its engine, verify: check for damage, clean: remove all',
    load: async () => (await import('./cache.ts')).addCacheCommand,
  },
]

/**
 * The parser with all commands. `own` is this package. Only commands whose name passes `isUsed` have their options and
 * can run; the others are lines of `--help`.
 */
export async function commands(own: OwnPackage, isUsed: (name: string) => boolean = () => true): Promise<CAC> {
  const cli = cac('unplugin-onnx')
  for (const { usage, description, load } of list) {
    const command = cli.command(usage, description)
    if (isUsed(command.name)) (await load())(command, cli, own)
  }
  return cli.help().version(own.version)
}

import type { CAC, Command } from 'cac'
import { openStore } from '../cache/store.ts'
import { allBackends } from '../compile/backends.ts'
import { applyChanges, changeText } from '../doctor/changes.ts'
import { type Checkup, checkApp, type PackageFacts } from '../doctor/checks.ts'
import { resolveOptions } from '../options/resolve.ts'
import type { ResolvedOptions } from '../options/schema.ts'
import { colouredPaint } from '../terminal/colour.ts'
import { commandOptions } from './arguments.ts'
import { onnxruntimeSession } from './onnxruntime-session.ts'
import { patchText } from './patch-text.ts'
import { printResult } from './print.ts'
import { type Diagnosis, doctorReport } from './reports.ts'
import { optionTexts } from './usage.ts'

/** What this package's own package.json says. */
export interface OwnPackage extends PackageFacts {
  readonly version: string
}

interface DoctorFlags {
  readonly fix?: boolean
  readonly json?: boolean
}

/** `unplugin-onnx doctor`: probes every backend on this machine, and looks for what an app lacks. */
export function addDoctorCommand(command: Command, cli: CAC, own: OwnPackage): void {
  command
    .option('--fix', 'Write what tsconfig.json and .gitignore lack')
    .option('--root <dir>', optionTexts.root)
    .option('--cache-dir <dir>', optionTexts.cacheDir)
    .option('--json', optionTexts.json)
    .action((flags: DoctorFlags) => runDoctor(resolveOptions(commandOptions(cli)), own, flags))
}

async function runDoctor(options: ResolvedOptions, own: OwnPackage, { fix = false, json }: DoctorFlags): Promise<void> {
  const before = await checkApp(options, own)
  if (fix) await fixFiles(before, options.root)
  const { checks } = fix ? await checkApp(options, own) : before
  const diagnosis = { ...(await diagnose(options, own.version)), checks }
  if (!diagnosis.backends.some(({ available }) => available)) process.exitCode = 1
  printResult(json, diagnosis, doctorReport(diagnosis, colouredPaint(process.stdout)))
}

async function fixFiles({ changes }: Checkup, root: string): Promise<void> {
  const paint = colouredPaint(process.stderr)
  for (const change of changes) console.error(`${patchText(changeText(change, root), paint)}\n`)
  await applyChanges(changes)
}

async function diagnose(options: ResolvedOptions, version: string): Promise<Omit<Diagnosis, 'checks'>> {
  const entries = await openStore({ ...options.cache, warn: console.error }).list()
  const backends = await Promise.all(
    (await allBackends()).map(async (backend) => ({
      name: backend.name,
      ...(await backend.probe(options, options.root)),
    })),
  )
  return {
    version,
    node: process.versions.node,
    platform: process.platform,
    arch: process.arch,
    backends,
    onnxruntime: await onnxruntimeSession(),
    cache: {
      dir: options.cache.dir,
      engines: entries.length,
      bytes: entries.reduce((sum, { size }) => sum + size, 0),
    },
  }
}

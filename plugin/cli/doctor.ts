import type { CAC } from 'cac'
import { openStore } from '../cache/store.ts'
import { allBackends } from '../compile/backends.ts'
import { resolveOptions } from '../options/resolve.ts'
import type { ResolvedOptions } from '../options/schema.ts'
import { commandOptions, optionTexts } from './arguments.ts'
import { onnxruntimeSession } from './onnxruntime-session.ts'
import { printResult } from './print.ts'
import { type Diagnosis, doctorReport } from './reports.ts'

/** `unplugin-onnx doctor`: probes every backend on this machine. `version` is that of this package. */
export function addDoctorCommand(cli: CAC, version: string): void {
  cli
    .command('doctor', 'Show which backends are available on this machine, and what is missing')
    .option('--root <dir>', optionTexts.root)
    .option('--cache-dir <dir>', optionTexts.cacheDir)
    .option('--json', optionTexts.json)
    .action(async ({ json }: { json?: boolean }) => {
      const diagnosis = await diagnose(resolveOptions(commandOptions(cli)), version)
      if (!diagnosis.backends.some(({ available }) => available)) process.exitCode = 1
      printResult(json, diagnosis, doctorReport(diagnosis))
    })
}

async function diagnose(options: ResolvedOptions, version: string): Promise<Diagnosis> {
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

// `npm run build:native`: compiles the native addons into native/build/Release.
import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fetchVendored, root } from './vendor.ts'

try {
  await build()
} catch (error) {
  // Without a network, pip, CMake or a compiler, everything else works: tests of the addons are skipped, with the
  // reason.
  if (process.env['CI'] === 'true') throw error
  console.error(`the native addons could not be built: ${error instanceof Error ? error.message : String(error)}`)
}

async function build(): Promise<void> {
  const cmakeJs = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js')
  const directories = ['--directory', path.join(root, 'native'), '--out', path.join(root, 'native', 'build')]
  const definitions = Object.entries(await fetchVendored()).map(([name, value]) => `--CD${name}=${value}`)
  // `compile` alone keeps the settings of an earlier build, whose headers may be others.
  for (const step of ['configure', 'compile'])
    execFileSync(process.execPath, [cmakeJs, step, ...directories, ...definitions], { stdio: 'inherit' })
}

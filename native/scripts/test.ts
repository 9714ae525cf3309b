// `npm run test:native`: the C++ tests of the addons under AddressSanitizer and ThreadSanitizer, with the real
// libraries. They need GoogleTest and a compiler with both sanitizers, as on Linux, but no Node.js addon.
import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { fetchVendored, root } from './vendor.ts'

const definitions = await fetchVendored()
const environment = {
  ...process.env,
  OPENVINO_LIBRARY:
    process.env['OPENVINO_LIBRARY'] ?? openvinoLibrary(path.dirname(definitions['OPENVINO_HEADERS'] ?? '')),
  // The libraries are not instrumented: ThreadSanitizer sees their memory accesses, but not the atomics that order
  // those accesses.
  TSAN_OPTIONS: 'ignore_noninstrumented_modules=1',
}

for (const sanitizers of ['address,undefined', 'thread']) {
  const folder = path.join(root, 'native', 'build', `test-${sanitizers.split(',', 1)[0]}`)
  const settings = {
    ...definitions,
    BUILD_ADDONS: 'OFF',
    BUILD_NATIVE_TESTS: 'ON',
    SANITIZE: sanitizers,
    CMAKE_BUILD_TYPE: 'RelWithDebInfo',
  }
  run('cmake', [
    '-S',
    path.join(root, 'native'),
    '-B',
    folder,
    '-G',
    'Ninja',
    ...Object.entries(settings).map(([name, value]) => `-D${name}=${value}`),
  ])
  run('cmake', ['--build', folder])
  run('ctest', ['--test-dir', folder, '--output-on-failure'])
}

function run(command: string, args: readonly string[]): void {
  execFileSync(command, args, { stdio: 'inherit', env: environment })
}

function openvinoLibrary(folder: string): string {
  const libraries = path.join(folder, 'libs')
  const name = readdirSync(libraries).find((entry) => /^libopenvino_c\.(so|dylib)/.test(entry))
  if (!name) throw new Error(`${libraries} does not contain OpenVINO's C library`)
  return path.join(libraries, name)
}

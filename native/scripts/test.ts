// `npm run test:native`: the C++ tests of the addons under AddressSanitizer and ThreadSanitizer, with the real
// libraries. They need GoogleTest and a compiler with both sanitizers, as on Linux, but no Node.js addon.
import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fetchVendored, root } from './vendor.ts'

const definitions = await fetchVendored()
const environment = {
  ...process.env,
  ONNXRUNTIME_LIBRARY: process.env['ONNXRUNTIME_LIBRARY'] ?? onnxruntimeLibrary(),
  ORT_DISABLE_TELEMETRY: '1',
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

function onnxruntimeLibrary(): string {
  const folder = path.dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'))
  const binaries = path.join(folder, 'bin', 'napi-v6', process.platform, process.arch)
  return libraryIn(binaries, /^libonnxruntime\.(so|1\.dylib|dylib)/)
}

function openvinoLibrary(folder: string): string {
  return libraryIn(path.join(folder, 'libs'), /^libopenvino_c\.(so|dylib)/)
}

function libraryIn(folder: string, pattern: RegExp): string {
  const name = readdirSync(folder).find((entry) => pattern.test(entry))
  if (!name) throw new Error(`${folder} has no library like ${String(pattern)}`)
  return path.join(folder, name)
}

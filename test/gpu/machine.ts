import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { loadAddon, type Gpu } from '../../native/load-addon.ts'
import { fetchVendored, root } from '../../native/scripts/vendor.ts'

/** The first GPU of this machine with its driver's version, or why there is none. */
export async function firstGpu(): Promise<(Gpu & { readonly driver: string }) | { readonly reason: string }> {
  const loaded = loadAddon('tensorrt_rtx_1_7')
  if ('reason' in loaded) return loaded
  const {
    gpus: [gpu],
    driver,
    reason,
  } = await loaded.addon.gpus()
  return gpu ? { ...gpu, driver } : { reason }
}

/**
 * Builds one of the C++ programs that need a GPU and gives its path. They are optimized and without sanitizers, as a
 * user's would be.
 */
export async function program(
  name: `tensorrt_${'rtx' | '10' | '11'}_plain_loop` | 'tensorrt_cuda_test',
): Promise<string> {
  const folder = join(root, 'native', 'build', 'gpu')
  const settings = {
    ...(await fetchVendored()),
    BUILD_ADDONS: 'OFF',
    BUILD_NATIVE_TESTS: 'ON',
    CMAKE_BUILD_TYPE: 'Release',
  }
  execFileSync(
    'cmake',
    ['-S', join(root, 'native'), '-B', folder, ...Object.entries(settings).map(([key, value]) => `-D${key}=${value}`)],
    { stdio: 'ignore' },
  )
  execFileSync('cmake', ['--build', folder, '--config', 'Release', '--target', name], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  return process.platform === 'win32' ? join(folder, 'Release', `${name}.exe`) : join(folder, name)
}

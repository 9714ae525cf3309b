/** The machines that have native packages: `@unplugin-onnx/native-<name>`. Without a suffix Linux is the one with glibc. */
export const nativePlatforms = ['linux-x64', 'linux-x64-musl', 'linux-arm64', 'linux-arm64-musl', 'darwin-arm64', 'win32-x64'] as const

export type NativePlatform = (typeof nativePlatforms)[number]

/** This machine as native packages name it, whether there is one for it or not. */
export function platformName(): string {
  return `${process.platform}-${process.arch}${isMusl() ? '-musl' : ''}`
}

/** What npm compares with the machine before it installs a package of this platform. */
export function platformFields(name: NativePlatform): { readonly os: readonly string[]; readonly cpu: readonly string[]; readonly libc?: readonly string[] } {
  const [os = '', cpu = '', libc = 'glibc'] = name.split('-')
  return { os: [os], cpu: [cpu], ...(os === 'linux' && { libc: [libc] }) }
}

function isMusl(): boolean {
  if (process.platform !== 'linux') return false
  const { header } = process.report.getReport() as { readonly header: { readonly glibcVersionRuntime?: string } }
  return header.glibcVersionRuntime === undefined
}

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

/** What is to be added to the text of a library that did not load; '' where the text says enough. */
export function foreignNote(text: string): string {
  if (foreign.test(text)) return `, which is built for another system than ${platformName()}`
  if (absent.test(text)) return `, which this node_modules lacks: install again on this machine (${platformName()})`
  return ''
}

// What the loaders of Linux, macOS and Windows say of a library for another architecture, system or C library.
const foreign = /invalid ELF header|wrong ELF class|GLIBC(?:XX)?_[\d.]+' not found|ld-musl|ld-linux|libc\.musl|incompatible architecture|mach-o|not a valid Win32 application|cannot open shared object file: No such file/i
const absent = /Cannot find module '[^']+\.node'/

function isMusl(): boolean {
  if (process.platform !== 'linux') return false
  const { header } = process.report.getReport() as { readonly header: { readonly glibcVersionRuntime?: string } }
  return header.glibcVersionRuntime === undefined
}

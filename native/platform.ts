import { closeSync, openSync, readSync } from 'node:fs'

/**
 * The platforms that have native packages, `@unplugin-onnx/native-<name>`. Linux without a suffix has glibc.
 */
export const nativePlatforms = [
  'linux-x64',
  'linux-x64-musl',
  'linux-arm64',
  'linux-arm64-musl',
  'darwin-arm64',
  'win32-x64',
] as const

export type NativePlatform = (typeof nativePlatforms)[number]

/** The name of this machine's native package, whether there is one or not. */
export function platformName(): string {
  return `${process.platform}-${process.arch}${isMusl() ? '-musl' : ''}`
}

/** The fields of package.json that npm compares with the machine before it installs a package of this platform. */
export function platformFields(name: NativePlatform): {
  readonly os: readonly string[]
  readonly cpu: readonly string[]
  readonly libc?: readonly string[]
} {
  const [os = '', cpu = '', libc = 'glibc'] = name.split('-')
  return { os: [os], cpu: [cpu], ...(os === 'linux' && { libc: [libc] }) }
}

/** What to add to the error text of a library that did not load; '' where the text is enough. */
export function foreignNote(text: string): string {
  if (left.test(text)) return `, which was left out next to the addon that needs it: ${leftHint()}`
  if (foreign.test(text)) return `, which is built for another platform than ${platformName()}`
  if (absent.test(text)) return `, which this node_modules lacks: install again on this machine (${platformName()})`
  return ''
}

// Texts of the loaders of Linux, macOS and Windows for a library of another architecture, system or C library.
const foreign =
  /invalid ELF header|wrong ELF class|GLIBC(?:XX)?_[\d.]+' not found|ld-musl|ld-linux|libc\.musl|incompatible architecture|mach-o|not a valid Win32 application|cannot open shared object file: No such file/i
const absent = /Cannot find module '[^']+\.node'/
// The addon of onnxruntime-node is there, and the library that it links to is not.
const left =
  /libonnxruntime\.so[.\d]*: (?:cannot open shared object|No such) file|Library not loaded: \S*libonnxruntime|onnxruntime_binding\.node.*specified module could not be found/is

// What traces the files of a deployment follows require(), and no link of a library.
function leftHint(): string {
  const files = `node_modules/onnxruntime-node/bin/*/${process.platform}/${process.arch}/*`
  return `list ${files} among the files that the deployment traces or packs`
}

// From the running program, whose first bytes name its loader: Node's report has it too, but takes 40 ms.
function isMusl(): boolean {
  if (process.platform !== 'linux') return false
  const loader = /\/ld-(?:linux|musl)/.exec(startOf(process.execPath))?.[0]
  if (loader !== undefined) return loader.endsWith('musl')
  const { header } = process.report.getReport() as { readonly header: { readonly glibcVersionRuntime?: string } }
  return header.glibcVersionRuntime === undefined
}

function startOf(file: string): string {
  const bytes = Buffer.alloc(2048)
  try {
    const descriptor = openSync(file, 'r')
    try {
      return bytes.toString('latin1', 0, readSync(descriptor, bytes, 0, bytes.length, 0))
    } finally {
      closeSync(descriptor)
    }
  } catch {
    // A program may be executable without being readable.
    return ''
  }
}

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { isMainThread } from 'node:worker_threads'
import type { Addon } from './addon-base.ts'
import type { Addons } from './addon.ts'
import { closeAtExit } from './exit-gate.ts'
import { foreignNote, nativePlatforms, platformName, type NativePlatform } from './platform.ts'

export type {
  Addons,
  DimBounds,
  OnnxRuntimeAddon,
  OnnxRuntimeCall,
  OnnxRuntimeEngine,
  OnnxRuntimeOutput,
  OpenVinoAddon,
  OpenVinoDevice,
  OpenVinoEngine,
  OpenVinoPort,
} from './addon.ts'
export type {
  Gpu,
  GpuProbe,
  ProfiledInput,
  TensorRtAddon,
  TensorRtBuild,
  TensorRtEngine,
  TensorRtPort,
  TensorRtProfile,
} from './tensorrt-addon.ts'

/** An addon, or why it could not be loaded: one sentence that lists every place that was tried. */
export type LoadedAddon<N extends keyof Addons> = { readonly addon: Addons[N] } | { readonly reason: string }

const require = createRequire(import.meta.url)
const loaded = new Map<keyof Addons, LoadedAddon<keyof Addons>>()

/**
 * Loads a native addon: from the folder in the environment variable `UNPLUGIN_ONNX_NATIVE`, from this package's own
 * build (`npm run build:native`), or from the platform package. Loading an addon opens no engine library. Never
 * throws.
 */
export function loadAddon<N extends keyof Addons>(name: N): LoadedAddon<N> {
  const result = loaded.get(name) ?? tryPlaces(name)
  loaded.set(name, result)
  return result as LoadedAddon<N>
}

function tryPlaces<N extends keyof Addons>(name: N): LoadedAddon<N> {
  const failures: string[] = []
  for (const [place, load] of candidates(name)) {
    try {
      const addon = load() as Addons[N]
      endAtExit(addon)
      return { addon }
    } catch (error) {
      // The first line of a module error is the reason; the rest is a require stack.
      const [text = ''] = (error instanceof Error ? error.message : String(error)).split('\n', 1)
      failures.push(`${place}${text}${foreignNote(text)}`)
    }
  }
  return { reason: `the native addon '${name}' could not be loaded: ${failures.join('; ')}` }
}

// A worker's end concerns its own engines only, which Node.js frees with its environment.
function endAtExit(addon: Addon): void {
  if (isMainThread) closeAtExit((milliseconds) => addon.exit(milliseconds))
}

function candidates(name: string): [place: string, load: () => unknown][] {
  const folder = process.env['UNPLUGIN_ONNX_NATIVE']
  const root = packageRoot()
  const own = root === undefined ? '' : path.join(root, 'native', 'build', 'Release', `${name}.node`)
  return [
    ...(folder
      ? [['UNPLUGIN_ONNX_NATIVE: ', () => fromFile(path.resolve(folder, `${name}.node`))] as [string, () => unknown]]
      : []),
    ...(existsSync(own) ? [['', () => require(own)] as [string, () => unknown]] : []),
    ['', () => fromPackage(name)],
  ]
}

function fromFile(file: string): unknown {
  if (!existsSync(file)) throw new Error(`${file} does not exist`)
  return require(file)
}

// Found by its own name: this module may run from dist or from source.
function packageRoot(): string | undefined {
  try {
    return path.dirname(require.resolve('unplugin-onnx/package.json'))
  } catch {
    // A bundle, or a copy elsewhere: it has no build of its own.
    return undefined
  }
}

// Literal names, so that tools that trace dependencies (such as nft) include the package and its binaries. Each package
// exports one function per addon.
const platformPackages: Readonly<Record<NativePlatform, () => Readonly<Record<string, () => unknown>>>> = {
  'linux-x64': () => require('@unplugin-onnx/native-linux-x64'),
  'linux-x64-musl': () => require('@unplugin-onnx/native-linux-x64-musl'),
  'linux-arm64': () => require('@unplugin-onnx/native-linux-arm64'),
  'linux-arm64-musl': () => require('@unplugin-onnx/native-linux-arm64-musl'),
  'darwin-arm64': () => require('@unplugin-onnx/native-darwin-arm64'),
  'win32-x64': () => require('@unplugin-onnx/native-win32-x64'),
}

function fromPackage(name: string): unknown {
  const machine = platformName()
  const platform = nativePlatforms.find((known) => known === machine)
  if (platform === undefined)
    throw new Error(`there are native packages for ${nativePlatforms.join(', ')}, not for ${machine}`)
  if (!isInstalled(platform)) throw new Error(missingPackage(platform))
  const addon = platformPackages[platform]()[name]
  if (!addon) throw new Error(`@unplugin-onnx/native-${platform} has no addon '${name}'`)
  return addon()
}

function missingPackage(platform: NativePlatform): string {
  const others = nativePlatforms.filter(isInstalled)
  if (others.length === 0) {
    const remedy = 'add it to the dependencies, or install again with optional dependencies'
    return `@unplugin-onnx/native-${platform} is not installed: ${remedy}`
  }
  const remedy = 'install again here, or configure the package manager to install for both'
  return `node_modules was installed for ${others.join(' and ')}, but this machine is ${platform}: ${remedy}`
}

function isInstalled(platform: NativePlatform): boolean {
  try {
    require.resolve(`@unplugin-onnx/native-${platform}`)
    return true
  } catch {
    return false
  }
}

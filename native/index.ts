import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import type { Addons } from './addon.ts'

export type { Addons, DimBounds, OpenVinoAddon, OpenVinoDevice, OpenVinoEngine, OpenVinoPort } from './addon.ts'

/** An addon, or why there is none: one sentence that lists every place that was tried. */
export type LoadedAddon<N extends keyof Addons> = { readonly addon: Addons[N] } | { readonly reason: string }

const require = createRequire(import.meta.url)
const loaded = new Map<keyof Addons, LoadedAddon<keyof Addons>>()

/**
 * Loads a native addon: from the folder in the environment variable `UNPLUGIN_ONNX_NATIVE`, from this package's own build
 * (`npm run build:native`), or from the platform package. Loading an addon opens no engine library. Never throws.
 */
export function loadAddon<N extends keyof Addons>(name: N): LoadedAddon<N> {
  const known = loaded.get(name) ?? attempt(name)
  loaded.set(name, known)
  return known as LoadedAddon<N>
}

function attempt<N extends keyof Addons>(name: N): LoadedAddon<N> {
  const failures: string[] = []
  for (const [place, load] of candidates(name)) {
    try {
      return { addon: load() as Addons[N] }
    } catch (error) {
      // A module error's first line says it all; the rest is a require stack.
      failures.push(`${place}: ${(error instanceof Error ? error.message : String(error)).split('\n', 1)[0]}`)
    }
  }
  return { reason: `the native addon '${name}' could not be loaded (${failures.join('; ')})` }
}

function candidates(name: string): [place: string, load: () => unknown][] {
  const folder = process.env['UNPLUGIN_ONNX_NATIVE']
  const platform = `${process.platform}-${process.arch}`
  return [
    ...(folder ? [['UNPLUGIN_ONNX_NATIVE', () => fromFile(path.resolve(folder, `${name}.node`))] as [string, () => unknown]] : []),
    ['own build', () => fromFile(path.join(packageRoot(), 'native', 'build', 'Release', `${name}.node`))],
    [`platform package for ${platform}`, () => fromPackage(platform, name)],
  ]
}

function fromFile(file: string): unknown {
  if (!existsSync(file)) throw new Error(`${file} does not exist`)
  return require(file)
}

// Found by its own name: this module may run from dist or from source.
function packageRoot(): string {
  return path.dirname(require.resolve('unplugin-onnx/package.json'))
}

// Literal names, so that tools which trace dependencies (nft and its kin) take the package and its binaries along. Each package
// exports one function per addon it has.
const platformPackages: Readonly<Record<string, () => Readonly<Record<string, () => unknown>>>> = {
  'linux-x64': () => require('@unplugin-onnx/native-linux-x64'),
  'linux-arm64': () => require('@unplugin-onnx/native-linux-arm64'),
  'darwin-arm64': () => require('@unplugin-onnx/native-darwin-arm64'),
  'win32-x64': () => require('@unplugin-onnx/native-win32-x64'),
}

function fromPackage(platform: string, name: string): unknown {
  const load = platformPackages[platform]
  if (!load) throw new Error(`there is none; they exist for ${Object.keys(platformPackages).join(', ')}`)
  const addon = load()[name]
  if (!addon) throw new Error(`it has no addon '${name}'`)
  return addon()
}

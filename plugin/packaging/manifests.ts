import type { Manifest } from './entries.ts'

/** The fields of package.json that are used here; others are kept. */
export interface PackageManifest extends Manifest {
  readonly name: string
  readonly version: string
  readonly description: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly peerDependenciesMeta?: Readonly<Record<string, object>>
  readonly [field: string]: unknown
}

/** The dependencies that stay outside: a native parser, a bundle already, and what is required when it is needed. */
const outside: ReadonlySet<string> = new Set(['jiti', 'oxc-parser', 'picomatch'])

/** The published package.json of the plugin. Other dependencies than these are inside the bundle. */
export function pluginManifest(source: PackageManifest): PackageManifest {
  const { devDependencies: _, scripts: __, dependencies = {}, ...published } = source
  const left = Object.entries(dependencies).filter(([name]) => outside.has(name))
  return { ...(published as PackageManifest), dependencies: Object.fromEntries(left) }
}

/** The entries of the runtime's own package, and those of the plugin that they are. */
export const runtimeExports: Readonly<Record<string, string>> = {
  '.': './runtime',
  './web': './web',
  './testing': './testing',
  './electron': './electron',
  './remote': './remote',
  './package.json': './package.json',
}

/** Optional packages that the runtime uses; the others are the plugin's. */
const runtimePeers: ReadonlySet<string> = new Set(['@grpc/grpc-js', '@grpc/proto-loader', 'onnxruntime-node'])

/** The package.json of the runtime alone, which an app needs in production. */
export function runtimeManifest(source: PackageManifest): PackageManifest {
  const { license, type, sideEffects, engines, repository, version, optionalDependencies } = pluginManifest(source)
  const peers = Object.entries(source.peerDependencies ?? {}).filter(([name]) => runtimePeers.has(name))
  return {
    name: '@unplugin-onnx/runtime',
    version,
    description: 'Runs the engines that unplugin-onnx compiles, without the plugin',
    license,
    type,
    sideEffects,
    engines,
    ...(repository !== undefined && { repository }),
    exports: Object.fromEntries(Object.entries(runtimeExports).map(([name, own]) => [name, source.exports[own] ?? ''])),
    files: ['dist'],
    ...(optionalDependencies && { optionalDependencies }),
    peerDependencies: Object.fromEntries(peers),
    peerDependenciesMeta: Object.fromEntries(peers.map(([name]) => [name, { optional: true }])),
  }
}

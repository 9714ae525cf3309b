/** What an engine requires from the library, for both flavours. */
export interface RequiredVersion {
  readonly version: string
  readonly versionCompatible?: true
}

/**
 * Why an installed version of the library cannot run an engine, as text; undefined when it can. The version that built
 * an engine runs it; a version-compatible plan of TensorRT also runs on later versions of the same major version.
 * Whether a plan of TensorRT 10 runs on TensorRT 11 is unproven here, so it is refused.
 */
export function versionRefusal({ version, versionCompatible }: RequiredVersion, installed: string): string | undefined {
  if (installed === version) return undefined
  if (!versionCompatible) return 'engines never cross releases'
  const [major = ''] = version.split('.', 1)
  if (installed.split('.', 1)[0] !== major) return `a version-compatible plan stays within TensorRT ${major}`
  return isOlder(installed, version) ? 'a version-compatible plan runs on that release and later ones' : undefined
}

/** Whether a version, such as '580.95.05', is older than another one. */
export function isOlder(version: string, other: string): boolean {
  const numbers = version.split('.').map(Number)
  for (const [index, part] of other.split('.').map(Number).entries()) {
    const difference = (numbers[index] ?? 0) - part
    if (difference !== 0) return difference < 0
  }
  return false
}

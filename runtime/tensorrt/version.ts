/** What an engine requires of the library, of whichever flavour. */
export interface RequiredVersion {
  readonly version: string
  readonly versionCompatible?: true
}

/**
 * Why an installed version of the library does not run an engine, in words; undefined when it does. The very version
 * that built it does, and for a version-compatible plan of TensorRT later ones of that major version do too. Whether a
 * plan of TensorRT 10 runs on TensorRT 11 is unproven here, so it is refused.
 */
export function versionRefusal({ version, versionCompatible }: RequiredVersion, installed: string): string | undefined {
  if (installed === version) return undefined
  if (!versionCompatible) return 'engines never cross releases'
  const [major = ''] = version.split('.', 1)
  if (installed.split('.', 1)[0] !== major) return `a version-compatible plan stays within TensorRT ${major}`
  return isOlder(installed, version) ? 'a version-compatible plan runs on that release and later ones' : undefined
}

/** Whether a version, such as '580.95.05', comes before another one. */
export function isOlder(version: string, least: string): boolean {
  const [numbers, wanted] = [version, least].map((text) => text.split('.').map(Number))
  for (const [index, part] of (wanted ?? []).entries()) {
    const difference = (numbers?.[index] ?? 0) - part
    if (difference !== 0) return difference < 0
  }
  return false
}

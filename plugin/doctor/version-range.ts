/** Whether a version is in a range of the forms that our package.json has: `^1.2.3`, `>=1.2.3`, and several by `||`. */
export function isInRange(version: string, range: string): boolean {
  return range.split('||').some((part) => isInPart(numbers(version), part.trim()))
}

type Version = readonly [major: number, minor: number, patch: number]

function isInPart(version: Version, part: string): boolean {
  const least = numbers(part.replace(/^[^\d]*/, ''))
  if (compare(version, least) < 0) return false
  if (!part.startsWith('^')) return true
  // The first number that is not 0 must be the same.
  const fixed = least[0] > 0 ? 1 : 2
  return version.slice(0, fixed).every((number, index) => number === least[index])
}

function compare(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2]
}

function numbers(version: string): Version {
  const [major = 0, minor = 0, patch = 0] = version.split(/[.+-]/).map((text) => Number.parseInt(text, 10) || 0)
  return [major, minor, patch]
}

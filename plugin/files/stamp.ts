import { stat } from 'node:fs/promises'

/** Facts of the file system about a file that change with its content, as text that JSON can hold. */
export interface Stamp {
  readonly size: string
  readonly mtimeNs: string
  readonly ctimeNs: string
  readonly ino: string
}

export async function stampOf(file: string): Promise<Stamp> {
  const { size, mtimeNs, ctimeNs, ino } = await stat(file, { bigint: true })
  return { size: String(size), mtimeNs: String(mtimeNs), ctimeNs: String(ctimeNs), ino: String(ino) }
}

export function sameStamp(a: Stamp, b: Stamp): boolean {
  return a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs && a.ino === b.ino
}

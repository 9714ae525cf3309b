import { printable } from '../../runtime/printable.ts'
import type { Paint } from '../terminal/table.ts'

/** A unified diff in colours; text that would control the terminal is escaped. */
export function patchText(patch: string, paint: Paint): string {
  return printable(patch)
    .split('\n')
    .map((line) => {
      if (line.startsWith('+')) return paint('green', line)
      return line.startsWith('-') ? paint('red', line) : line
    })
    .join('\n')
}

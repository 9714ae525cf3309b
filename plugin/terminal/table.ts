/** A style of a terminal. */
export type Style = 'bold' | 'dim' | 'green' | 'red' | 'yellow' | 'cyan'

/** Colours text, or leaves it as it is. */
export type Paint = (style: Style, text: string) => string

/** No colours. */
export const plainPaint: Paint = (_, text) => text

/** A cell of a table: text, or text in a style. */
export type Cell = string | { readonly text: string; readonly style: Style }

/** How a table is laid out. */
export interface TableLayout {
  readonly paint?: Paint
  /** Positions of the columns whose text ends at their right edge, such as numbers. */
  readonly right?: readonly number[]
  /** Columns of a terminal. Longer lines are cut; the default is 100. */
  readonly width?: number
}

/** Rows in columns, indented by two spaces. No line ends in spaces. */
export function table(
  rows: readonly (readonly Cell[])[],
  { paint = plainPaint, right = [], width = 100 }: TableLayout = {},
): readonly string[] {
  const texts = rows.map((row) => row.map((cell) => (typeof cell === 'string' ? cell : cell.text)))
  const widths: number[] = []
  for (const row of texts) {
    row.forEach((text, index) => {
      // The last cell of a row is not padded: a long reason must not move the columns of other rows.
      if (index < row.length - 1 || right.includes(index)) widths[index] = Math.max(widths[index] ?? 0, text.length)
    })
  }
  return rows.map((row, line) => {
    let left = width - 2
    const cells = row.map((cell, index) => {
      const text = texts[line]?.[index] ?? ''
      const size = index === row.length - 1 && !right.includes(index) ? 0 : (widths[index] ?? 0)
      const padded = cut(right.includes(index) ? text.padStart(size) : text.padEnd(size), left)
      left = Math.max(0, left - padded.length - 2)
      return typeof cell === 'string' ? padded : paint(cell.style, padded)
    })
    return `  ${cells.join('  ').trimEnd()}`
  })
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, Math.max(0, length - 3))}...`.slice(0, length) : text
}

/** Rows in columns of any width, for text that must not be cut. */
export function columns(rows: readonly (readonly string[])[]): readonly string[] {
  return table(rows, { width: Infinity })
}

/** Text in lines of at most `width` columns, broken at spaces; the lines after the first are indented. */
export function wrap(text: string, indent: number, width = 100): readonly string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(last === undefined ? word : ' '.repeat(indent) + word)
  }
  return lines
}

/** A name for a terminal: one in a hostile model may contain escape sequences, and is then written as JSON. */
export function plain(text: string): string {
  return /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]*$/u.test(text)
    ? text
    : JSON.stringify(text).replaceAll(
        /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
        (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`,
      )
}

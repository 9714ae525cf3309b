import type { WriteStream } from 'node:tty'
import { styleText } from 'node:util'
import { type Paint, plainPaint } from './table.ts'

/** Colours for a terminal that has them. `NO_COLOR` and `FORCE_COLOR` are respected. */
export function colouredPaint(stream: Pick<WriteStream, 'isTTY'> & Partial<Pick<WriteStream, 'hasColors'>>): Paint {
  const isColoured = stream.isTTY && stream.hasColors?.() === true
  return isColoured ? (style, text) => styleText(style, text) : plainPaint
}

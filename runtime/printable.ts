/**
 * Text for a message: names in models, paths and what libraries print may hold anything. Control characters, which move
 * a terminal's cursor or change its title, and those that turn the direction of text are written as escapes; colours
 * are left out, line breaks and tabs stay. Cut to 16,000 characters.
 */
export function printable(text: string): string {
  const clean = text.replaceAll('\r\n', '\n').replaceAll(color, '').replaceAll(unprintable, escape)
  return clean.length > limit ? `${clean.slice(0, limit)}... (${clean.length - limit} characters more)` : clean
}

const limit = 16_000

// Select Graphic Rendition, which tools use in their own messages.
// oxlint-disable-next-line no-control-regex
const color = /\u001b\[[\d;]*m/g

// C0 and C1 except tab and line feed, DEL, and the marks, embeddings, overrides and isolates of the Unicode
// Bidirectional Algorithm.
// oxlint-disable-next-line no-control-regex
const unprintable = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

function escape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

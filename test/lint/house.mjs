// The rules of the house that no linter has: what may import what, and how wide a line may be.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
const floors = JSON.parse(readFileSync(new URL('./floors.json', import.meta.url), 'utf8'))
// The file lists floors as the house stands: the top floor first.
const rooms = floors.toReversed().flatMap(({ rooms }, level) => rooms.map((room) => ({ room, level })))

/** The room of a file, by the longest path that fits, and its floor; undefined outside the house. */
function placeOf(file) {
  const inside = path.relative(root, file).replaceAll('\\', '/')
  return rooms.filter(({ room }) => inside.startsWith(room)).sort((a, b) => b.room.length - a.room.length)[0]
}

/** An import goes to a file of the same room or to a lower floor. Types count. */
const floorsRule = {
  create(context) {
    const from = placeOf(context.filename)
    const check = (node, source) => {
      if (from === undefined || typeof source?.value !== 'string' || !source.value.startsWith('.')) return
      const to = placeOf(path.resolve(path.dirname(context.filename), source.value))
      if (to === undefined || to.room === from.room || to.level < from.level) return
      const message = `${from.room} imports ${to.room}, which is not on a lower floor: see test/lint/floors.json`
      context.report({ node, message })
    }
    return {
      ImportDeclaration: (node) => check(node, node.source),
      ExportNamedDeclaration: (node) => check(node, node.source),
      ExportAllDeclaration: (node) => check(node, node.source),
      ImportExpression: (node) => check(node, node.source),
      TSImportType: (node) => check(node, node.source ?? node.argument?.literal ?? node.argument),
    }
  },
}

const widest = 120

/** Whether a line is a regular expression and nothing else. */
const isPattern = (line) => /^\s*\/[^/*]/.test(line)

/** No line over 120 columns, but for regular expressions, which cannot be broken. */
const widthRule = {
  create(context) {
    return {
      Program(node) {
        for (const [index, line] of context.sourceCode.lines.entries()) {
          if (line.length <= widest || isPattern(line)) continue
          context.report({ node, message: `line ${index + 1} has ${line.length} columns, more than ${widest}` })
        }
      },
    }
  },
}

export default { meta: { name: 'house' }, rules: { floors: floorsRule, width: widthRule } }
